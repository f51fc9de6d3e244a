"""A group's policy, metadata, pauses and end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from logs import selectors, services, store
from logs.declarations import Group
from logs.errors import (
    GroupAlreadyExists,
    GroupNotFound,
    GroupSubscribed,
    MetadataTooLarge,
    NonEmptyGroup,
    NoOffset,
    NotSubscribed,
    OffsetOutOfRange,
)
from logs.models import Commit, GroupPartition
from logs.policies import parse_start_policy
from logs.services import Assignment, NewRecord
from mqsite import workers
from mqsite.errors import Invalid
from mqsite.models import AuditEntry, WorkerProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def topic() -> str:
    """Ten records on each of two partitions, an hour apart, the newest of now."""
    services.create_topic("orders", owner="shop", partitions=2, configs={"retention.ms": -1})
    now = timezone.now()
    records = [NewRecord(n, partition=p, timestamp=now - timedelta(hours=9 - n)) for n in range(10) for p in range(2)]
    services.publish_many("orders", records, boundary="shop")
    return "orders"


def start(policy: str) -> None:
    services.create_group("billing", owner="billing", topics=["orders"], auto_offset_reset=policy)


def acquire(partition: int = 0, member: str = "a") -> Assignment | None:
    return services.acquire_partition("billing", "orders", partition, member=member)


def position(partition: int = 0) -> int:
    assignment = acquire(partition)
    assert assignment
    services.release_partition(assignment)
    return assignment.position


@pytest.mark.parametrize(
    ("policy", "first", "after_loss"),
    [("earliest", 0, 6), ("latest", 10, 10), ("by_duration:PT3H30M", 6, 6), ("by_duration:P9D", 0, 6)],
)
def test_a_group_starts_where_its_policy_says_and_goes_on_there_when_retention_passed_it(
    policy: str, first: int, after_loss: int
) -> None:
    start(policy)
    assert position() == first
    services.reset_offsets("billing", "to-offset", 2, actor="ann")
    services.delete_records("orders", {0: 6}, actor="test")
    assert position() == after_loss
    lost, _ = selectors.find_resets("billing")
    assert (lost["actor"], lost["partitions"]) == (
        "auto.offset.reset",
        [{"topic": "orders", "partition": 0, "from": 2, "to": after_loss}],
    )
    assert "Retention had passed 2: the log starts at 6" in lost["reason"]
    assert position() == after_loss
    assert len(selectors.find_resets("billing")) == 2, "written down once"


@pytest.mark.parametrize(("policy", "found"), [("earliest", 0), ("latest", 10)])
def test_a_commit_beyond_the_log_end_is_not_valid_either(policy: str, found: int) -> None:
    """As after a restore of an older log."""
    start(policy)
    held = acquire()
    assert held
    services.commit_offset(held, 99)
    services.release_partition(held)
    assert position() == found
    assert selectors.find_resets("billing")[0]["reason"] == "99 lies beyond the log end, 10."


def test_latest_misses_nothing_between_the_subscription_and_the_first_fetch() -> None:
    start("latest")
    services.publish("orders", "new", partition=0, boundary="shop")
    assert position() == 10


def test_without_a_policy_a_group_begins_only_where_somebody_said() -> None:
    start("none")
    with pytest.raises(NoOffset, match=r"no committed offset on orders-0, and its auto\.offset\.reset is none"):
        acquire()
    assert not GroupPartition.objects.filter(group__name="billing", owner__isnull=False).exists()
    services.reset_offsets("billing", "to-offset", 2, actor="ann")
    assert position() == 2
    services.delete_records("orders", {0: 6}, actor="test")
    with pytest.raises(OffsetOutOfRange, match="Offset 2 of orders-0 is out of range: its log runs from 6 up to 10"):
        acquire()


def test_a_partition_that_retention_empties_under_a_member_follows_the_policy() -> None:
    start("latest")
    services.reset_offsets("billing", "to-offset", 2, actor="ann")
    assignment = acquire()
    assert assignment
    services.delete_records("orders", {0: 6}, actor="test")
    assert services.fetch_assigned(assignment, assignment.position, max_records=5) == []
    assert selectors.find_resets("billing")[0]["partitions"][0]["to"] == 10


@pytest.mark.parametrize(
    "policy", ["", "first", "by_duration", "by_duration:", "by_duration:3h", "by_duration:-PT1H", "latest:1", 3, None]
)
def test_a_policy_that_is_none_is_refused(policy: Any) -> None:
    with pytest.raises(Invalid, match="allowed are 'earliest', 'latest', 'none' and 'by_duration:'"):
        services.create_group("billing", owner="billing", auto_offset_reset=policy)
    with pytest.raises(Invalid):
        Group("refused", owner="billing", auto_offset_reset=policy)


def test_durations_are_iso_8601() -> None:
    assert parse_start_policy("by_duration:P1DT2H3M4.5S").duration == timedelta(
        days=1, hours=2, minutes=3, seconds=4, milliseconds=500
    )


def test_a_policy_can_be_altered_and_that_is_written_down() -> None:
    start("none")
    services.alter_group("billing", auto_offset_reset="earliest", actor="ann", reason="forgotten")
    assert position() == 0
    assert AuditEntry.objects.get(action="alter group").facts == {
        "auto.offset.reset": {"from": "none", "to": "earliest"}
    }


def test_a_group_that_cannot_be_subscribed_is_not_left_half_made() -> None:
    with pytest.raises(Exception, match="no topic payments"):
        services.create_group("billing", owner="billing", topics=["orders", "payments"])
    with pytest.raises(GroupNotFound):
        selectors.require_group("billing")


def test_a_second_group_of_a_name_is_refused() -> None:
    start("earliest")
    with pytest.raises(GroupAlreadyExists):
        start("earliest")


def test_a_commit_keeps_its_metadata() -> None:
    start("earliest")
    assignment = acquire()
    assert assignment
    note = "ö" * 2_048
    services.commit_offset(assignment, 3, metadata=note)
    assert Commit.objects.get(committed=3).metadata == note
    with pytest.raises(MetadataTooLarge, match="4,097 bytes; at most 4,096"):
        services.commit_offset(assignment, 4, metadata=note + "x")
    with pytest.raises(Invalid, match="without NUL"):
        services.commit_offset(assignment, 4, metadata="\0")
    assert position_of_newest() == 3


def position_of_newest() -> int:
    return Commit.objects.order_by("-number")[0].committed


@pytest.mark.parametrize(
    ("scope", "paused"),
    [({}, {0, 1}), ({"topic": "orders"}, {0, 1}), ({"topic": "orders", "partitions": [1]}, {1})],
)
def test_what_is_paused_is_read_by_nobody_until_it_resumes(scope: dict[str, Any], paused: set[int]) -> None:
    start("earliest")
    services.pause_group("billing", actor="ann", reason="deploy", **scope)
    assert {number for number in (0, 1) if acquire(number) is None} == paused
    assert {b.partition for b in selectors.find_behind(["billing"], limit=9)} <= {0, 1} - paused
    services.resume_group("billing", actor="ann", **scope)
    assert all(acquire(number, member="b") for number in paused)


def test_what_was_paused_by_itself_stays_so_when_the_group_resumes() -> None:
    start("earliest")
    services.pause_group("billing", topic="orders", partitions=[0], actor="bob", reason="poison")
    services.pause_group("billing", actor="ann")
    services.resume_group("billing", actor="ann")
    assert (acquire(0), acquire(1) is None) == (None, False)


def test_a_pause_of_the_group_covers_what_it_reads_later() -> None:
    start("earliest")
    services.pause_group("billing", actor="ann")
    services.add_partitions("orders", 3, actor="test")
    assert acquire(2) is None


def test_who_does_not_let_go_is_fenced_after_the_grace() -> None:
    start("earliest")
    holder = acquire()
    assert holder
    services.pause_group("billing", actor="ann", reason="deploy", grace_seconds=0)
    with pytest.raises(Exception, match=r"ann paused it at \d{4}"):
        services.commit_offset(holder, 3)


def test_a_holder_learns_of_the_pause_with_its_commit() -> None:
    start("earliest")
    holder = acquire()
    assert holder
    assert services.commit_offset(holder, 1)
    GroupPartition.objects.filter(id=holder.group_partition_id).update(paused_at=datetime.now(UTC))
    assert not services.commit_offset(holder, 2)


def test_a_group_in_use_cannot_be_deleted() -> None:
    start("earliest")
    holder = acquire()
    assert holder
    with pytest.raises(NonEmptyGroup, match=r"in use by a\. Nothing was deleted"):
        services.delete_group("billing", actor="ann")
    services.release_partition(holder)
    member = services.join_group("billing", boundary="billing", instance="billing-1")
    with pytest.raises(NonEmptyGroup, match="billing-1"):
        services.delete_group("billing", actor="ann")
    services.leave_group(member)
    services.delete_group("billing", actor="ann", reason="gone")
    with pytest.raises(GroupNotFound):
        selectors.require_group("billing")
    assert AuditEntry.objects.get(action="delete group").reason == "gone"


def test_a_worker_process_with_a_handler_for_the_group_keeps_it_from_being_deleted() -> None:
    start("earliest")
    WorkerProcess.objects.create(name="w1", handles=[selectors.handled_name("billing", "orders")])
    with pytest.raises(NonEmptyGroup, match="w1"):
        services.delete_group("billing", actor="ann")
    assert selectors.group_state(selectors.require_group("billing")) == "Stable"
    with pytest.raises(GroupSubscribed, match="as w1"):
        services.delete_offsets("billing", "orders", actor="ann")
    workers.forget_dead(0)
    services.delete_offsets("billing", "orders", actor="ann")
    with pytest.raises(NotSubscribed):
        acquire()


def test_a_handler_of_a_topic_whose_name_only_begins_so_does_not_count() -> None:
    start("earliest")
    WorkerProcess.objects.create(name="w1", handles=[selectors.handled_name("billing", "orders-archive")])
    services.delete_offsets("billing", "orders", actor="ann")
    assert selectors.describe_group("billing")["topics"] == []


def test_offsets_of_one_topic_can_be_deleted_while_others_are_read() -> None:
    services.create_topic("payments", owner="shop")
    start("earliest")
    services.subscribe_group("billing", "payments")
    holder = acquire()
    assert holder
    services.delete_offsets("billing", "payments", actor="ann")
    with pytest.raises(GroupSubscribed, match="reads orders at the moment, as a"):
        services.delete_offsets("billing", "orders", actor="ann")
    with pytest.raises(NotSubscribed):
        services.delete_offsets("billing", "payments", actor="ann")
    services.commit_offset(holder, 3)


def test_a_holder_of_deleted_offsets_commits_nothing() -> None:
    start("earliest")
    holder = acquire()
    assert holder
    services.release_partition(holder)
    services.delete_group("billing", actor="ann")
    with pytest.raises(Exception, match="the group, the topic or the group's offsets on it were deleted"):
        services.commit_offset(holder, 3)
    assert not Commit.objects.filter(group_partition_id=holder.group_partition_id).exists()


def test_a_reset_under_way_is_no_member() -> None:
    start("earliest")
    ids = [held.group_partition_id for held in store.holdings(selectors.require_group("billing").id, using="default")]
    store.fence(ids, holder=f"{selectors.RESETTING}ann", seconds=60, using="default")
    assert selectors.list_members("billing") == []
    assert selectors.group_state(selectors.require_group("billing")) == "Empty"


def test_what_changes_nothing_is_not_written_down() -> None:
    start("earliest")
    services.resume_group("billing", actor="ann")
    services.pause_group("billing", actor="ann")
    services.pause_group("billing", actor="bob")
    assert list(AuditEntry.objects.filter(subject="billing").values_list("actor", "action")) == [("ann", "pause")]


@pytest.mark.parametrize("reason", ["a\0b", "\ud800", "x" * 10_001])
def test_a_reason_that_cannot_be_kept_is_refused(reason: str) -> None:
    start("earliest")
    with pytest.raises(Invalid, match="A reason is text of at most 10,000 characters"):
        services.pause_group("billing", actor="ann", reason=reason)
    with pytest.raises(Invalid, match="A reason is text"):
        services.reset_offsets("billing", "to-latest", actor="ann", reason=reason)
    with pytest.raises(Invalid, match="A reason is text"):
        services.delete_group("billing", actor="ann", reason=reason)
    assert selectors.find_resets("billing") == []


@pytest.mark.parametrize("named", [{"instance": "reset by x"}, {"instance": ""}, {"client": "reset by x"}])
def test_no_member_is_called_like_a_reset(named: dict[str, Any]) -> None:
    start("earliest")
    with pytest.raises(Invalid):
        services.join_group("billing", boundary="billing", **named)
