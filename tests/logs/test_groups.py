"""Groups: one holder per partition, offsets that only the holder commits, resets that fence."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.db import connection, transaction

from logs import selectors, services
from logs.declarations import Group, OnReset, groups
from logs.errors import (
    Fenced,
    GroupNotFound,
    NotSubscribed,
    OffsetOutOfRange,
    PlanOutdated,
    ResetBlocked,
    ResetOvertaken,
)
from logs.models import Commit, GroupPartition
from logs.services import Assignment, NewRecord, resets
from mqsite.errors import Invalid
from mqsite.models import AuditEntry
from tests.concurrency import all_at_once, elsewhere, in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def group() -> str:
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(20)], boundary="shop")
    return "billing"


def acquire(partition: int = 0, member: str = "a") -> Assignment:
    assignment = services.acquire_partition("billing", "orders", partition, member=member)
    assert assignment
    return assignment


def committed(partition: int = 0) -> int | None:
    row = selectors.describe_group("billing")["topics"][0]["partitions"][partition]["groups"][0]
    return row["committed"]


def expire() -> None:
    GroupPartition.objects.update(expires_at="2000-01-01T00:00Z")


def test_a_new_group_starts_at_the_first_record() -> None:
    assert acquire().position == 0
    assert committed() is None


def test_a_group_may_auto_offset_reset_what_comes_next() -> None:
    services.create_group("late", owner="billing", topics=["orders"], auto_offset_reset="latest")
    assignment = services.acquire_partition("late", "orders", 0, member="a")
    assert assignment
    assert assignment.position == 10


def test_one_member_holds_a_partition_at_a_time() -> None:
    take = partial(services.acquire_partition, "billing", "orders", 0)
    taken = all_at_once([partial(take, member=f"m{n}") for n in range(6)])
    assert len([a for a in taken if a]) == 1


def test_the_commit_is_the_next_offset_to_read() -> None:
    first = acquire()
    services.commit_offset(first, 4)
    services.release_partition(first)
    assert committed() == 4
    assert acquire(member="b").position == 4


def test_a_silent_member_loses_its_partition_and_can_harm_nothing() -> None:
    old = acquire()
    expire()
    new = acquire(member="b")
    services.commit_offset(new, 7)
    with pytest.raises(Fenced, match="no longer holds orders-0"):
        services.commit_offset(old, 3)
    services.release_partition(old)
    assert committed() == 7
    assert GroupPartition.objects.get(id=new.group_partition_id).owner == "b"


def test_a_heartbeat_keeps_what_a_member_holds() -> None:
    held = [acquire(0).group_partition_id, acquire(1).group_partition_id]
    assert services.renew_partitions("a", held, seconds=60) == 2
    assert services.renew_partitions("a", held[:1], seconds=60) == 1
    assert services.renew_partitions("b", held, seconds=60) == 0
    expire()
    assert services.renew_partitions("a", held, seconds=60) == 0


@pytest.mark.parametrize(
    ("mode", "value", "position"),
    [("to-earliest", None, 0), ("to-latest", None, 10), ("to-offset", 3, 3), ("to-offset", 99, 10)],
)
def test_reset_moves_the_offset_and_fences_the_holder(mode: str, value: int | None, position: int) -> None:
    holder = acquire()
    services.commit_offset(holder, 5)
    reset = services.reset_offsets("billing", mode, value, topics={"orders": [0]}, actor="ann", reason="a bug")
    (moved,) = reset["partitions"]
    assert moved == {"topic": "orders", "partition": 0, "from": 5, "to": position}
    with pytest.raises(Fenced):
        services.commit_offset(holder, 6)
    assert acquire(member="b").position == position
    entry = AuditEntry.objects.get(action="reset offsets")
    assert (entry.actor, entry.subject, entry.reason) == ("ann", "billing", "a bug")


def test_after_a_reset_what_was_committed_before_is_a_replay() -> None:
    holder = acquire()
    services.commit_offset(holder, 5)
    services.reset_offsets("billing", "to-earliest", actor="ann")
    again = acquire(member="b")
    records = services.fetch_assigned(again, again.position, max_records=100)
    assert [r.is_replay for r in records] == [True] * 5 + [False] * 5
    services.commit_offset(again, 2)
    services.reset_offsets("billing", "to-earliest", actor="ann")
    again = acquire(member="c")
    assert again.replay_until == 5


def test_a_reset_waits_for_a_commit_in_flight_and_then_wins() -> None:
    holder = acquire()
    with transaction.atomic():
        services.commit_offset(holder, 5)
        reset = in_thread(lambda: services.reset_offsets("billing", "to-earliest", actor="ann"))
        wait_until(_someone_waits_for_a_row, message="the reset to wait for the commit")
    (moved, _) = reset.result(timeout=10)["partitions"]
    assert (moved["from"], moved["to"]) == (5, 0)
    assert committed() == 0


def _someone_waits_for_a_row() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_a_fenced_commit_takes_the_handlers_writes_along() -> None:
    holder = acquire()
    with pytest.raises(Fenced), transaction.atomic():
        AuditEntry.objects.create(actor="handler", action="x", subject="y")
        elsewhere(lambda: services.reset_offsets("billing", "to-earliest", actor="ann"))
        services.commit_offset(holder, 5)
    assert not AuditEntry.objects.filter(actor="handler").exists()


@pytest.fixture
def on_reset() -> Iterator[Callable[[OnReset], None]]:
    """Gives the group an on_reset, for one test."""
    yield lambda function: (Group("billing", owner="billing", on_reset=function), None)[1]
    groups._entries.pop("billing", None)


def test_a_reset_and_a_handler_that_write_the_same_rows_do_not_deadlock(
    on_reset: Callable[[OnReset], None],
) -> None:
    """The handler writes row 1 and then row 2, on_reset row 2 and then row 1."""
    one, two = (
        AuditEntry.objects.filter(pk=AuditEntry.objects.create(actor="board", action="count", subject="0").pk)
        for _ in range(2)
    )
    on_reset(lambda topic, targets: (two.update(subject=topic), one.update(subject=str(targets))))
    holder = acquire()
    with pytest.raises(Fenced), transaction.atomic():
        services.begin_batch(holder)
        one.update(subject="1")
        reset = in_thread(lambda: services.reset_offsets("billing", "to-earliest", actor="ann"))
        wait_until(_someone_waits_for_a_row, message="the reset to wait for the handler")
        two.update(subject="2")
        services.commit_offset(holder, 5)
    assert len(reset.result(timeout=10)["partitions"]) == 2
    assert (one.get().subject, two.get().subject) == ("{0: 0, 1: 0}", "orders")


def test_a_reset_does_not_wait_for_ever_for_a_handler_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resets, "WAIT_SECONDS", 0.2)
    holder = acquire()
    with pytest.raises(Fenced), transaction.atomic():
        services.begin_batch(holder)
        with pytest.raises(ResetBlocked, match="A handler of group billing has been at work"):
            elsewhere(lambda: services.reset_offsets("billing", "to-offset", 3, actor="ann"))
        services.commit_offset(holder, 5)
    assert committed() is None
    assert acquire(member="b").position == 0


def test_a_fenced_member_notices_before_it_works() -> None:
    holder = acquire()
    services.reset_offsets("billing", "to-earliest", actor="ann")
    with pytest.raises(Fenced), transaction.atomic():
        services.begin_batch(holder)


def test_a_failing_on_reset_moves_nothing_and_lets_go(on_reset: Callable[[OnReset], None]) -> None:
    def fail(topic: str, targets: dict[int, int]) -> None:
        raise KeyError("on_reset")

    services.commit_offset(acquire(), 5)
    on_reset(fail)
    with pytest.raises(KeyError, match="on_reset"):
        services.reset_offsets("billing", "to-earliest", actor="ann")
    assert committed() == 5
    assert acquire(member="b").position == 5


def test_of_two_resets_at_once_each_is_whole() -> None:
    reset = partial(services.reset_offsets, "billing", "to-offset", actor="ann")

    def attempt(to: int) -> str:
        try:
            reset(to)
        except (ResetOvertaken, PlanOutdated):
            return "overtaken"
        return "moved"

    outcomes = all_at_once([partial(attempt, to) for to in (1, 2, 3, 4)])
    assert "moved" in outcomes
    assert committed(0) == committed(1)


def test_reset_refuses_a_mode_it_does_not_know() -> None:
    with pytest.raises(Invalid, match="no mode 'to-begining' of reset; allowed are to-earliest, to-latest"):
        services.reset_offsets("billing", "to-begining", actor="ann")


def test_reset_names_what_does_not_exist() -> None:
    with pytest.raises(GroupNotFound, match="no consumer group biling"):
        services.reset_offsets("biling", "to-earliest", actor="ann")
    with pytest.raises(NotSubscribed, match="partition 7"):
        services.reset_offsets("billing", "to-earliest", topics={"orders": [0, 7]}, actor="ann")
    with pytest.raises(NotSubscribed):
        services.reset_offsets("billing", "to-earliest", topics={"unread": None}, actor="ann")


def test_a_commit_outside_the_log_is_refused() -> None:
    holder = acquire()
    with pytest.raises(OffsetOutOfRange, match="from 0 up to 10"):
        services.commit_checked("billing", [services.Commit("orders", 0, holder.epoch, 11)])


def test_lag_is_the_distance_to_the_log_end() -> None:
    holder = acquire()
    services.commit_offset(holder, 4)
    row = selectors.describe_group("billing")["topics"][0]["partitions"][0]["groups"][0]
    assert row["lag"] == 6
    assert row["lag_seconds"] > 0
    services.commit_offset(holder, 10)
    row = selectors.describe_group("billing")["topics"][0]["partitions"][0]["groups"][0]
    assert (row["lag"], row["lag_seconds"]) == (0, None)


def test_superseded_commits_are_swept_and_the_newest_stays() -> None:
    holder = acquire()
    for offset in range(1, 6):
        services.commit_offset(holder, offset)
    assert services.sweep_commits() == 4
    assert list(Commit.objects.values_list("committed", flat=True)) == [5]
