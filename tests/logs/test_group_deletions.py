"""Groups, offsets and partitions that are deleted or added while somebody else is at them."""

from collections.abc import Callable
from functools import partial

import pytest

from logs import services
from logs.errors import Fenced, GroupNotFound, GroupSubscribed, NonEmptyGroup, NotSubscribed
from logs.models import Commit, ConsumerGroup, GroupPartition, Member
from tests.concurrency import all_at_once, held_open, in_thread
from tests.logs.racing import PARTITIONS, ROUNDS, acquire, committed, create_group, publish, someone_waits
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def group() -> None:
    create_group()


def test_a_group_is_not_deleted_under_who_acquires() -> None:
    with held_open(lambda: acquire(3, member="late")) as commit:
        deleted = in_thread(lambda: services.delete_group("billing", actor="ann"))
        wait_until(someone_waits, message="the deletion to wait")
        commit()
        with pytest.raises(NonEmptyGroup, match="late"):
            deleted.result(timeout=10)


@pytest.mark.parametrize("instance", [None, "billing-1"])
def test_of_a_join_and_a_deletion_at_once_one_is_refused(instance: str | None) -> None:
    """And neither by accident."""
    outcomes = set()
    for _ in range(ROUNDS // 2):
        if not ConsumerGroup.objects.filter(name="billing").exists():
            services.create_group("billing", owner="billing", topics=["orders"])
        Member.objects.update(expires_at="2000-01-01T00:00Z")
        works: list[Callable[[], bool]] = [partial(try_to_join, instance), try_to_delete]
        joined, deleted = all_at_once(works)
        assert joined != deleted
        assert ConsumerGroup.objects.filter(name="billing").exists() == joined
        outcomes.add(joined)
    assert outcomes


def try_to_join(instance: str | None) -> bool:
    try:
        return bool(services.join_group("billing", boundary="billing", topics=["orders"], instance=instance))
    except GroupNotFound:
        return False


def try_to_delete() -> bool:
    try:
        services.delete_group("billing", actor="ann")
    except NonEmptyGroup:
        return False
    return True


def test_who_joins_while_the_group_is_deleted_is_told_that_it_is_gone() -> None:
    with held_open(lambda: services.delete_group("billing", actor="ann")) as commit:
        joined = in_thread(lambda: services.join_group("billing", boundary="billing"))
        wait_until(someone_waits, message="the join to wait")
        commit()
        with pytest.raises(GroupNotFound):
            joined.result(timeout=10)


def test_who_subscribes_a_group_while_it_is_deleted_is_told_that_it_is_gone() -> None:
    services.create_topic("fares", owner="shop")
    with held_open(lambda: services.delete_group("billing", actor="ann")) as commit:
        subscribed = in_thread(lambda: services.subscribe_group("billing", "fares"))
        wait_until(someone_waits, message="the subscription to wait")
        commit()
        with pytest.raises(GroupNotFound):
            subscribed.result(timeout=10)


def test_partitions_are_added_without_a_group_that_is_deleted_meanwhile() -> None:
    with held_open(lambda: services.delete_group("billing", actor="ann")) as commit:
        added = in_thread(lambda: services.add_partitions("orders", PARTITIONS + 1, actor="ann"))
        wait_until(someone_waits, message="the addition to wait")
        commit()
        assert "starts at offset 0" not in added.result(timeout=10)
    assert not GroupPartition.objects.filter(partition__topic__name="orders").exists()


def test_offsets_are_not_deleted_under_a_commit_and_who_comes_late_is_fenced() -> None:
    publish(PARTITIONS)
    held = acquire()
    with held_open(lambda: services.commit_offset(held, 1)) as commit:
        deleted = in_thread(lambda: services.delete_offsets("billing", "orders", actor="ann"))
        wait_until(someone_waits, message="the deletion to wait")
        commit()
        with pytest.raises(GroupSubscribed):
            deleted.result(timeout=10)
    assert committed() == 1
    GroupPartition.objects.update(expires_at="2000-01-01T00:00Z")
    services.delete_offsets("billing", "orders", actor="ann")
    with pytest.raises(Fenced, match="were deleted"):
        services.commit_offset(held, 1)
    assert not Commit.objects.exists()
    with pytest.raises(NotSubscribed):
        acquire()


# Partitions that are added


def test_who_subscribes_by_joining_gets_the_partitions_that_are_just_being_added() -> None:
    services.create_group("late", owner="late")
    with held_open(lambda: services.add_partitions("orders", PARTITIONS + 2, actor="ann")) as commit:
        joined = in_thread(lambda: services.join_group("late", boundary="late", topics=["orders"]))
        wait_until(someone_waits, message="the join to wait")
        commit()
        member = joined.result(timeout=10)
    assert len(services.sync_member(member).gained) == PARTITIONS + 2


def test_partitions_are_added_for_who_is_just_subscribing_by_joining() -> None:
    services.create_group("late", owner="late")
    with held_open(lambda: services.join_group("late", boundary="late", topics=["orders"])) as commit:
        added = in_thread(lambda: services.add_partitions("orders", PARTITIONS + 2, actor="ann"))
        wait_until(someone_waits, message="the growth to wait")
        commit()
        added.result(timeout=10)
    assert GroupPartition.objects.filter(group__name="late").count() == PARTITIONS + 2
