"""Resets: every mode, planned to the record, executed exactly as planned, recorded and undone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from logs import selectors, services
from logs.errors import (
    Fenced,
    GroupNotFound,
    GroupNotPaused,
    NonEmptyGroup,
    NotSubscribed,
    PlanOutdated,
    TopicNotFound,
)
from logs.models import GroupPartition
from logs.services import Assignment, NewRecord, ResetPlan, reset_plans
from mqsite.errors import Invalid, MessagingError, NotFound
from mqsite.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)

RECORDS = 10
START = datetime(2026, 1, 1, tzinfo=UTC)  # of offset n: n hours later


@pytest.fixture(autouse=True)
def group() -> str:
    """billing has committed 4 on partition 0 and nothing on partition 1; both hold ten records, an hour apart."""
    services.create_topic("orders", owner="shop", partitions=2, configs={"retention.ms": -1})
    services.create_group("billing", owner="billing", topics=["orders"])
    records = [
        NewRecord(n, partition=p, timestamp=START + timedelta(hours=n)) for n in range(RECORDS) for p in range(2)
    ]
    services.publish_many("orders", records, boundary="shop")
    commit(4)
    return "billing"


def acquire(partition: int = 0, *, group: str = "billing", member: str = "a") -> Assignment:
    assignment = services.acquire_partition(group, "orders", partition, member=member)
    assert assignment
    return assignment


def commit(offset: int, *, partition: int = 0, group: str = "billing") -> None:
    assignment = acquire(partition, group=group)
    services.commit_offset(assignment, offset)
    services.release_partition(assignment)


def committed(group: str = "billing") -> list[int | None]:
    return [row["committed"] for row in selectors.committed_offsets(selectors.require_group(group))]


def plan(mode: str, value: Any = None, **options: Any) -> ResetPlan:
    return services.plan_reset("billing", mode, value, **options)


def targets(found: ResetPlan) -> list[int]:
    return [move.new for move in found.moves]


@pytest.mark.parametrize(
    ("mode", "value", "expected", "replayed", "skipped"),
    [
        ("to-earliest", None, [0, 0], 4, 0),
        ("to-latest", None, [10, 10], 0, 16),
        ("to-offset", 3, [3, 3], 1, 3),
        ("to-datetime", START + timedelta(hours=6), [6, 6], 0, 8),
        ("to-datetime", START - timedelta(days=1), [0, 0], 4, 0),
        ("from-file", "orders,0,7\norders,1,2\n", [7, 2], 0, 5),
        ("from-file", [("orders", 1, 2)], [2], 0, 2),
    ],
)
def test_a_plan_says_where_each_partition_goes_and_what_is_replayed_and_skipped(
    mode: str, value: Any, expected: list[int], replayed: int, skipped: int
) -> None:
    found = plan(mode, value)
    assert targets(found) == expected
    assert (found.records_to_replay, found.records_to_skip) == (replayed, skipped)
    assert committed() == [4, None], "a plan moves nothing"
    services.execute_reset(found.token, actor="ann")
    assert [c for c in committed() if c is not None] == expected or committed() == [4, *expected]


def test_by_duration_goes_back_from_now() -> None:
    services.publish("orders", "now", partition=0, boundary="shop")
    assert targets(plan("by-duration", "PT1H", topics={"orders": [0]})) == [10]
    hours = (timezone.now() - START) / timedelta(hours=1)
    assert targets(plan("by-duration", timedelta(hours=hours - 2.5), topics={"orders": [0]})) == [3]


def test_no_record_at_or_after_a_time_goes_to_the_log_end_and_says_so() -> None:
    found = plan("to-datetime", timezone.now() + timedelta(days=1))
    assert targets(found) == [10, 10]
    assert "No record at or after this time" in found.moves[0].warning


@pytest.mark.parametrize(("value", "new", "clamped"), [(99, 10, "log end"), (0, 2, "log start")])
def test_a_target_outside_the_log_is_clamped_and_says_so(value: int, new: int, clamped: str) -> None:
    services.delete_records("orders", {0: 2}, actor="test")
    (move,) = plan("to-offset", value, topics={"orders": [0]}).moves
    assert (move.new, move.clamped) == (new, clamped)
    assert f"{value} is " in move.warning


@pytest.mark.parametrize(("shift", "new"), [(2, 6), (-3, 1), (-9, 0), (99, 10)])
def test_shift_by_counts_from_where_the_group_stands(shift: int, new: int) -> None:
    services.pause_group("billing", actor="ann")
    assert targets(plan("shift-by", shift, topics={"orders": [0]})) == [new]


def test_shift_by_needs_a_committed_offset() -> None:
    services.pause_group("billing", actor="ann")
    with pytest.raises(Invalid, match="Cannot shift the offset of orders-1: there is no current committed offset"):
        plan("shift-by", 1)


def test_to_current_writes_down_where_the_group_stands() -> None:
    services.pause_group("billing", actor="ann")
    found = plan("to-current")
    assert targets(found) == [4, 10], "without a commit it is the log end, as in Kafka"
    assert "No offset is committed" in found.moves[1].warning


def test_from_group_takes_the_place_of_another() -> None:
    services.create_group("audit", owner="audit", topics=["orders"])
    commit(7, group="audit")
    found = plan("from-group", "audit")
    assert targets(found) == [7, 0]
    assert found.moves[1].warning == "audit has not started there."


def test_skip_one_passes_a_single_record() -> None:
    services.pause_group("billing", topic="orders", partitions=[0], actor="ann")
    found = plan("skip-one", topics={"orders": [0]})
    assert (targets(found), found.says) == ([5], "over record 4")
    services.execute_reset(found.token, actor="ann")
    services.resume_group("billing", topic="orders", partitions=[0], actor="ann")
    assert acquire().position == 5


@pytest.mark.parametrize("mode", ["shift-by", "to-current", "skip-one"])
def test_what_counts_from_the_present_place_needs_a_pause(mode: str) -> None:
    with pytest.raises(GroupNotPaused, match="pause group billing first, or these partitions of it: orders-0"):
        plan(mode, 1 if mode == "shift-by" else None, topics={"orders": [0]})


@pytest.mark.parametrize(
    ("mode", "value", "message"),
    [
        ("to-begining", None, "no mode 'to-begining' of reset; allowed are to-earliest, to-latest"),
        ("to-earliest", 3, "to-earliest takes no value"),
        ("to-offset", -1, "a whole number from 0 on, not -1"),
        ("to-offset", True, "not True"),
        ("to-offset", "3", "not '3'"),
        ("to-datetime", datetime(2026, 1, 1), "a time with a time zone"),  # noqa: DTZ001
        ("to-datetime", "yesterday", "a time with a time zone"),
        ("by-duration", "3 hours", "ISO 8601"),
        ("by-duration", timedelta(hours=-1), "ISO 8601"),
        ("from-group", 3, "the name of a group"),
        ("from-file", "", "1 to 10,000 lines"),
        ("from-file", "orders,0", "Line 1 is"),
        ("from-file", "orders,0,x", "Line 1 is"),
        ("from-file", "orders,0,-1", "its offset is negative"),
        ("from-file", "orders,0,1\norders,0,2", "Line 2 .* its partition came before"),
        ("from-file", 3, "lines"),
    ],
)
def test_a_plan_refuses_what_it_does_not_understand(mode: str, value: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        plan(mode, value)


@pytest.mark.parametrize(
    ("topics", "error"),
    [({"payments": None}, NotSubscribed), ({"orders": [7]}, NotSubscribed), ({}, Invalid)],
)
def test_a_plan_names_what_the_group_does_not_read(topics: dict[str, Any], error: type[MessagingError]) -> None:
    with pytest.raises(error):
        plan("to-earliest", topics=topics)


def test_a_slip_in_a_name_makes_no_group() -> None:
    with pytest.raises(GroupNotFound, match="no consumer group biling"):
        services.plan_reset("biling", "to-earliest")
    with pytest.raises(GroupNotFound):
        plan("from-group", "audti")
    with pytest.raises(NotSubscribed, match="partition 9"):
        plan("from-file", "orders,9,1")


def test_ordinary_progress_of_the_group_does_not_outdate_a_plan() -> None:
    found = plan("to-offset", 2)
    commit(8)
    done = services.execute_reset(found.token, actor="ann")
    assert [(m["from"], m["to"]) for m in done["partitions"]] == [(8, 2), (None, 2)]


def grow() -> None:
    services.add_partitions("orders", 3, actor="test")


def pass_the_target() -> None:
    services.delete_records("orders", {0: 3}, actor="test")


def reset_before() -> None:
    services.reset_offsets("billing", "to-latest", topics={"orders": [1]}, actor="bob")


def unsubscribe() -> None:
    services.delete_offsets("billing", "orders", actor="test")


@pytest.mark.parametrize(
    ("meanwhile", "sentence"),
    [
        (grow, "orders has 3 partitions now, 2 when it was made"),
        (pass_the_target, "the log start of orders-0 passed the target 2: it is 3 now"),
        (reset_before, "another reset moved orders-1 meanwhile"),
        (unsubscribe, "billing does not read orders any more"),
    ],
)
def test_a_plan_that_something_overtook_is_refused_with_a_sentence(
    meanwhile: Callable[[], None], sentence: str
) -> None:
    found = plan("to-offset", 2)
    meanwhile()
    before = committed()
    with pytest.raises(PlanOutdated, match=sentence):
        services.execute_reset(found.token, actor="ann")
    assert committed() == before
    assert not GroupPartition.objects.filter(group__name="billing", owner__isnull=False).exists()


def test_a_log_start_that_moved_below_the_target_does_not_outdate_a_plan() -> None:
    found = plan("to-offset", 5)
    pass_the_target()
    services.execute_reset(found.token, actor="ann")
    assert committed() == [5, 5]


def test_a_plan_is_good_for_an_hour_and_for_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    found = plan("to-earliest")
    with pytest.raises(Invalid, match="no plan token of this installation"):
        services.execute_reset(found.token + "x", actor="ann")
    monkeypatch.setattr(reset_plans, "TOKEN_SECONDS", -1)
    with pytest.raises(PlanOutdated, match="more than an hour old"):
        services.execute_reset(found.token, actor="ann")


def test_if_active_refuse_is_kafkas_way() -> None:
    holder = acquire()
    with pytest.raises(NonEmptyGroup, match=r"in use by a\. Nothing was moved"):
        services.reset_offsets("billing", "to-earliest", actor="ann", if_active="refuse")
    services.commit_offset(holder, 6)
    services.release_partition(holder)
    services.reset_offsets("billing", "to-earliest", actor="ann", if_active="refuse")
    assert committed() == [0, 0]


def test_a_member_without_a_partition_is_active_as_well() -> None:
    services.join_group("billing", boundary="billing", instance="billing-1")
    with pytest.raises(NonEmptyGroup, match="billing-1"):
        services.reset_offsets("billing", "to-earliest", actor="ann", if_active="refuse")


def test_a_plan_for_a_live_group_says_what_happens_to_it() -> None:
    live = "The group is live: what its members are at is fenced, and they go on from the new place."
    assert not plan("to-earliest").warnings
    member = services.join_group("billing", boundary="billing")
    assert plan("to-earliest").warnings == [live], "also while it holds nothing yet"
    services.leave_group(member)
    acquire()
    assert plan("to-earliest").warnings == [live]


def test_a_commit_with_an_old_epoch_says_who_reset_it() -> None:
    holder = acquire()
    services.reset_offsets("billing", "to-earliest", actor="ann")
    with pytest.raises(Fenced, match=r"ann reset it at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC from 4 to 0. Nothing was"):
        services.commit_offset(holder, 6)
    assert committed() == [0, 0]


def test_every_reset_is_recorded_and_can_be_undone() -> None:
    done = services.reset_offsets("billing", "to-latest", actor="ann", reason="skip the flood")
    (record,) = selectors.find_resets("billing")
    assert (record["actor"], record["says"], record["reason"]) == ("ann", "to the log end", "skip the flood")
    assert [(m["from"], m["to"]) for m in record["partitions"]] == [(4, 10), (None, 10)]
    commit(10)
    undo = services.plan_undo(done["id"])
    assert targets(undo) == [4, 0], "where there was no commit, to where it would have begun"
    services.execute_reset(undo.token, actor="bob", reason="was wrong")
    assert committed() == [4, 0]
    undone, original = selectors.find_resets("billing")
    assert (undone["undoes"], original["undone_by"]) == (original["id"], [undone["id"]])
    assert AuditEntry.objects.filter(action="reset offsets", subject="billing").count() == 2


def test_undo_of_what_retention_took_goes_to_the_log_start() -> None:
    done = services.reset_offsets("billing", "to-latest", actor="ann")
    services.delete_records("orders", {0: 6}, actor="test")
    (first, _) = services.plan_undo(done["id"]).moves
    assert (first.new, first.clamped) == (6, "log start")


def test_undo_names_a_reset_that_never_was() -> None:
    with pytest.raises(NotFound, match="Reset 12345 does not exist"):
        services.plan_undo(12345)


def test_a_group_that_reads_nothing_cannot_be_reset() -> None:
    services.create_group("idle", owner="billing")
    with pytest.raises(Invalid, match="reads no topic yet"):
        services.plan_reset("idle", "to-earliest")


def test_a_reset_of_a_topic_that_was_deleted_after_the_plan_is_refused() -> None:
    found = plan("to-earliest")
    services.delete_topic("orders", actor="test")
    with pytest.raises(PlanOutdated):
        services.execute_reset(found.token, actor="ann")
    with pytest.raises(TopicNotFound):
        selectors.bounds("orders")
