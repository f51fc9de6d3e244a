"""Whoever let go of a partition takes it again in its epoch, as long as nobody else held it and nothing forbids it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db.models import QuerySet

from logs import consumer, services
from logs.errors import Fenced, NoOffset, NotSubscribed
from logs.models import Commit, ConsumerGroup, GroupPartition
from logs.rows import Record
from logs.services import Assignment, NewRecord
from mqsite.boundaries import ensure_boundary
from mqsite.errors import NotOwner
from tests.concurrency import all_at_once
from tests.logs.conftest import Subscribed
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _group(subscribed: Subscribed) -> None:
    """It reads one partition of orders."""


def publish(count: int = 1) -> None:
    services.publish_many("orders", [NewRecord(n, partition=0) for n in range(count)], boundary="shop")


def acquire(member: str = "a", **options: Any) -> Assignment | None:
    return services.acquire_partition("billing", "orders", 0, member=member, **options)


@pytest.fixture
def left() -> Assignment:
    """What member a let go of, at the log start."""
    held = acquire()
    assert held
    services.release_partition(held)
    return held


def take_again(left: Assignment, member: str = "a") -> bool | None:
    return services.take_again(left, member=member, boundary="billing")


def row() -> GroupPartition:
    return rows().get()


def rows() -> "QuerySet[GroupPartition]":
    return GroupPartition.objects.filter(group__name="billing", partition__number=0)


def test_what_is_unread_is_held_in_the_same_epoch(left: Assignment) -> None:
    publish()
    assert take_again(left) is True
    assert (row().owner, row().epoch) == ("a", left.epoch)
    assert row().expires_at is not None
    assert acquire("b") is None
    assert services.commit_offset(left, 1)


def test_where_nothing_is_unread_nothing_is_held(left: Assignment) -> None:
    assert take_again(left) is False
    assert row().owner is None


def hold_it(_: Assignment) -> None:
    assert acquire("b")


def hold_it_for_a_while(_: Assignment) -> None:
    held = acquire("b")
    assert held
    services.release_partition(held)


def fail(left: Assignment) -> None:
    held = acquire("a")
    assert held
    services.record_failure(held, 0, error="broken", retry_seconds=60)
    rows().update(epoch=left.epoch)


def make_anew(_: Assignment) -> None:
    """The same names, and the epochs begin again."""
    services.delete_group("billing", actor="ann")
    services.delete_topic("orders", actor="ann")
    services.create_topic("orders", owner="shop")
    services.create_group("billing", owner="billing", topics=["orders"])
    publish()
    hold_it_for_a_while(_)


def give_to_another_boundary(_: Assignment) -> None:
    ConsumerGroup.objects.update(owner=ensure_boundary("finance"))


@pytest.mark.parametrize(
    "meanwhile",
    [
        hold_it,
        hold_it_for_a_while,
        fail,
        lambda _: services.pause_group("billing", actor="ann", grace_seconds=0),
        lambda _: services.pause_group("billing", topic="orders", actor="ann", grace_seconds=0),
        lambda _: services.reset_offsets("billing", "to-earliest", actor="ann"),
        lambda _: services.delete_group("billing", actor="ann"),
        make_anew,
        give_to_another_boundary,
    ],
    ids=["held", "was held", "retry", "group paused", "partition paused", "reset", "deleted", "made anew", "moved"],
)
def test_what_is_not_as_it_was_left_is_not_held(left: Assignment, meanwhile: Callable[[Assignment], object]) -> None:
    publish()
    meanwhile(left)
    assert take_again(left) is None
    assert not rows().filter(owner="a").exists()


def test_what_a_crash_took_back_of_the_commits_is_read_again(left: Assignment) -> None:
    """Where the database does not wait for its disk, a crash or a failover loses a handler's writes with its commit."""
    publish(2)
    services.commit_offset(left, 1)
    services.commit_offset(left, 2)
    publish()
    Commit.objects.filter(committed=2).delete()
    assert take_again(replace(left, position=2)) is None
    Commit.objects.all().delete()
    assert take_again(replace(left, position=2)) is None
    assert row().owner is None


def test_what_a_crash_took_back_of_the_taking_leaves_its_holder_to_the_fence(left: Assignment) -> None:
    publish()
    before = rows().values("owner", "expires_at").get()
    assert take_again(left)
    rows().update(**before)  # the taking did not reach the disk; its holder does not know
    other = acquire("b")
    assert other
    with pytest.raises(Fenced):
        services.commit_offset(left, 1)
    assert services.commit_offset(other, 1)


def test_who_was_stopped_past_its_time_is_fenced_as_soon_as_another_reads(left: Assignment) -> None:
    publish()
    assert services.take_again(left, member="a", boundary="billing", seconds=0.001)
    other = wait_until(lambda: acquire("b"))
    assert other
    services.release_partition(other)
    with pytest.raises(Fenced):
        services.begin_batch(left)
    services.release_partition(left)  # what it does at its end lets go of nothing that is another's
    assert take_again(left) is None


def test_it_is_taken_again_once_however_many_try(left: Assignment) -> None:
    """The threads of a process share what it left."""
    publish()
    taken = all_at_once([lambda: take_again(left)] * 4)
    assert sorted(taken, key=bool) == [None, None, None, True]


# Acquiring by names


def test_only_what_is_unread_is_acquired_if_that_is_asked() -> None:
    assert acquire(only_unread=True) is None
    publish(2)
    held = acquire(only_unread=True)
    assert held
    services.commit_offset(held, 2)
    services.release_partition(held)
    assert acquire(only_unread=True) is None
    assert acquire()


def test_what_retention_took_is_not_unread() -> None:
    publish(2)
    services.delete_records("orders", {0: 2}, actor="ann")
    assert acquire(only_unread=True) is None


def test_a_group_of_another_boundary_is_refused_and_not_held() -> None:
    publish()
    with pytest.raises(NotOwner, match="billing"):
        acquire(boundary="shop")
    assert row().owner is None
    assert acquire(boundary="billing")


def test_what_is_not_read_is_refused_by_name() -> None:
    with pytest.raises(NotSubscribed, match="billing"):
        services.acquire_partition("billing", "orders", 99, member="a")


def test_a_group_that_may_start_nowhere_is_refused_and_not_held() -> None:
    services.alter_group("billing", auto_offset_reset="none", actor="ann")
    with pytest.raises(NoOffset):
        acquire()
    assert row().owner is None


# In the loop


def test_a_consumer_that_comes_again_keeps_its_epoch_until_another_was_there(subscribed: Subscribed) -> None:
    seen: list[int] = []

    def note(record: Record) -> None:
        seen.append(record.offset)

    subscribed(note)
    epochs = []
    for _ in range(3):
        publish()
        assert not consumer.drain("billing", "orders", 0, stop=lambda: False)
        epochs.append(row().epoch)
        assert row().owner is None
    assert len(set(epochs)) == 1
    other = acquire("b")
    assert other
    services.release_partition(other)
    publish(2)
    assert not consumer.drain("billing", "orders", 0, stop=lambda: False)
    assert row().epoch == other.epoch + 1
    assert seen == [0, 1, 2, 3, 4]


def test_a_consumer_that_comes_again_reads_what_a_reset_gave_back(subscribed: Subscribed) -> None:
    seen: list[tuple[int, bool]] = []

    def note(record: Record) -> None:
        seen.append((record.offset, record.is_replay))

    subscribed(note)
    publish(2)
    consumer.drain("billing", "orders", 0, stop=lambda: False)
    services.reset_offsets("billing", "to-earliest", actor="ann")
    consumer.drain("billing", "orders", 0, stop=lambda: False)
    publish()
    consumer.drain("billing", "orders", 0, stop=lambda: False)
    assert seen == [(0, False), (1, False), (0, True), (1, True), (2, False)]


def test_a_record_that_fails_after_others_passed_is_counted_from_its_own_first_try(subscribed: Subscribed) -> None:
    """The attempts of what stood at the position before are not its own."""
    failing = {0}

    def handle(record: Record) -> None:
        if record.offset in failing:
            raise ValueError("broken")

    subscribed(handle)
    publish()
    consumer.drain("billing", "orders", 0, stop=lambda: False)
    assert row().attempts == 1
    rows().update(retry_at=None)
    failing.clear()
    consumer.drain("billing", "orders", 0, stop=lambda: False)
    failing.add(1)
    publish()
    consumer.drain("billing", "orders", 0, stop=lambda: False)
    assert (row().failing_offset, row().attempts) == (1, 1)
