"""Whatever fails under a member, nothing is lost and nothing handled twice, and what is well goes on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from logs import selectors, services
from logs.errors import Fenced, MemberFenced, UnknownMember
from logs.models import GroupPartition, Member
from logs.services import GroupReader, NewRecord, group_reader, read_group, reading
from mqsite.models import AuditEntry
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PARTITIONS = 4


@pytest.fixture(autouse=True)
def group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 0.0)
    services.create_topic("orders", owner="shop", partitions=PARTITIONS)
    services.create_group("billing", owner="billing", topics=["orders"])


@pytest.fixture
def join() -> Iterator[Callable[..., GroupReader]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(read_group("billing", boundary="billing", **options))


def publish(count: int, *, partition: int | None = None) -> None:
    batch = [NewRecord(n, partition=n % PARTITIONS if partition is None else partition) for n in range(count)]
    services.publish_many("orders", batch, boundary="shop")


def handle(records: list[services.Record]) -> None:
    for record in records:
        AuditEntry.objects.create(actor="handler", action="bill", subject=str(record.json()))


def places(records: list[services.Record]) -> list[tuple[str, int, int]]:
    return sorted((r.topic, r.partition, r.offset) for r in records)


def committed() -> list[int | None]:
    return [c["committed"] for c in selectors.committed_offsets(selectors.require_group("billing"))]


def test_a_poll_that_fails_half_way_gives_all_of_it_with_the_next(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(40)
    reader = join()
    calls = []

    def lose_the_connection(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise OperationalError("the connection is lost")
        return fetch(*args, **options)

    fetch = reading.fetch_on
    monkeypatch.setattr(group_reader, "fetch_on", lose_the_connection)
    with pytest.raises(OperationalError):
        reader.poll(max_records=100)
    reader.commit()
    assert len(reader.poll(max_records=100)) == 40


def fail_after_the_commit() -> None:
    transaction.on_commit(lambda: int("not the handler's fault"))


def lose_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server commits, and the connection is gone before it can say so."""
    commit = connection._commit  # type: ignore[attr-defined]

    def commit_and_die() -> None:
        commit()
        monkeypatch.undo()
        connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(connection, "_commit", commit_and_die)


def test_a_commit_whose_answer_was_lost_is_not_handled_again(join: Callable[..., GroupReader]) -> None:
    publish(12)
    reader = join()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OperationalError), reader.transaction():
        handle(reader.poll())
        lose_the_answer(patch)
    reader._sync_at = 0.0
    assert reader.poll() == []
    assert AuditEntry.objects.filter(actor="handler").count() == 12


def test_what_fails_right_after_the_commit_does_not_bring_the_records_again(join: Callable[..., GroupReader]) -> None:
    publish(12)
    reader = join()
    records = reader.poll()
    with pytest.raises(ValueError, match="fault"), reader.transaction():
        handle(records)
        fail_after_the_commit()
    assert reader.poll() == []
    publish(4)
    records = reader.poll()
    with reader.transaction():
        handle(records)
    assert AuditEntry.objects.filter(actor="handler").count() == 16


def test_a_session_that_was_lost_while_it_committed_cannot_commit_after_its_successor(
    join: Callable[..., GroupReader],
) -> None:
    """The member cannot know what became of it: from then on it reads in new epochs."""
    publish(4)
    reader = join()
    records = reader.poll()
    before = reader.assignments
    with pytest.raises(ValueError, match="fault"), reader.transaction():
        handle(records)
        fail_after_the_commit()
    reader.poll()
    assert [a.epoch > b.epoch for a, b in zip(reader.assignments, before, strict=True)] == [True] * PARTITIONS
    with pytest.raises(Fenced):
        services.commit_offset(before[0], 0)


def test_a_members_transaction_is_not_part_of_another(join: Callable[..., GroupReader]) -> None:
    """Its end would not be the commit's, and what was rolled back would be passed over."""
    reader = join()
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic(), reader.transaction():
        pass


def test_the_former_self_of_a_static_member_reads_nothing_more(join: Callable[..., GroupReader]) -> None:
    publish(12)
    old = join(instance="billing-1")
    assert len(old.poll()) == 12
    new = join(instance="billing-1")
    assert len(new.poll()) == 12
    with pytest.raises(MemberFenced):
        old.poll()
    with pytest.raises(Fenced):
        old.commit()
    new.commit()
    assert committed() == [3] * PARTITIONS


def test_what_the_former_self_of_a_static_member_took_too_late_is_fenced(join: Callable[..., GroupReader]) -> None:
    """It looked for free partitions before the new one joined, and takes them after."""
    new = join(instance="billing-1")
    taken = services.acquire_partition("billing", "orders", 0, member="billing-1")
    assert taken
    new.poll()
    assert len(new.assignments) == PARTITIONS
    with pytest.raises(Fenced):
        services.commit_offset(taken, 0)


def test_a_partition_with_much_to_read_does_not_keep_the_others_waiting(join: Callable[..., GroupReader]) -> None:
    publish(200, partition=0)
    reader = join()
    assert {r.partition for r in reader.poll(max_records=10)} == {0}
    publish(1, partition=1)
    assert 1 in {r.partition for _ in range(3) for r in reader.poll(max_records=10)}


def test_a_partition_that_comes_later_does_not_wait_for_one_with_much_to_read(
    join: Callable[..., GroupReader],
) -> None:
    publish(200, partition=0)
    publish(1, partition=1)
    other = services.acquire_partition("billing", "orders", 1, member="other")
    assert other
    reader = join()
    reader.poll(max_records=10)
    services.release_partition(other)
    assert 1 in {r.partition for _ in range(3) for r in reader.poll(max_records=10)}


@pytest.mark.parametrize("policy", ["latest", "by_duration:PT0S"])
def test_a_member_that_retention_moved_to_the_log_end_rests_there(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    services.alter_group("billing", auto_offset_reset=policy, actor="ann")
    publish(10, partition=0)
    services.reset_offsets("billing", "to-earliest", actor="ann")
    reader = join()
    reader.poll(max_records=5)
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 10.0)
    services.delete_records("orders", {0: -1}, actor="ann")
    looks = []

    def look(*args: Any, **options: Any) -> Any:
        looks.append(args)
        return fetch(*args, **options)

    fetch = reading.fetch_on
    monkeypatch.setattr(group_reader, "fetch_on", look)
    assert reader.poll(wait_seconds=0.3) == []
    assert len(looks) <= 3
    reader.commit()
    assert committed()[0] == 10, "and does not commit what is gone"


def test_a_script_does_not_turn_in_circles_where_retention_took_all(monkeypatch: pytest.MonkeyPatch) -> None:
    publish(10, partition=0)
    services.delete_records("orders", {0: -1}, actor="ann")
    assert list(services.read_records("orders", start=dict.fromkeys(range(PARTITIONS), 0), wait_seconds=0.1)) == []


def test_a_topic_that_is_deleted_under_a_member_leaves_it_the_others(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    services.create_topic("payments", owner="shop", partitions=1)
    services.subscribe_group("billing", "payments")
    reader = join()
    reader.poll()
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 10.0)
    reader.poll()  # the last look for a while
    services.publish("payments", 1, boundary="shop")
    publish(4)
    reader._look_for_ready()
    services.delete_topic("payments", actor="ann")
    assert places(reader.poll()) == [("orders", n, 0) for n in range(PARTITIONS)]
    reader.commit()
    assert {a.topic for a in reader.assignments} == {"orders"}


def test_a_partition_that_was_taken_away_and_then_expired_leaves_a_member_the_others(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(8)
    reader = join()
    reader.poll()
    reader.commit()
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 10.0)
    reader.poll()
    GroupPartition.objects.filter(partition__number=0).update(expires_at="2000-01-01T00:00Z")
    assert services.acquire_partition("billing", "orders", 0, member="other")
    publish(8)
    services.delete_records("orders", {0: -1}, actor="ann")
    assert places(reader.poll()) == [("orders", n, o) for n in (1, 2, 3) for o in (2, 3)]


def test_a_group_that_is_deleted_under_a_member_ends_it(join: Callable[..., GroupReader]) -> None:
    reader = join()
    reader.poll()
    Member.objects.all().delete()
    GroupPartition.objects.update(owner=None)
    services.delete_group("billing", actor="ann")
    assert reader.poll() == []
    assert reader.assignments == []
    reader._beat_at = 0.0
    with pytest.raises(UnknownMember, match="Join again"):
        reader.poll()


def test_who_reads_and_never_commits_gives_up_the_share_of_others_in_the_end(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_reader, "MAX_POLL_SECONDS", 0.1)
    publish(4)
    first = join()
    first.poll()
    second = join()

    def is_shared() -> bool:
        first.poll()
        second.poll()
        return len(second.assignments) == PARTITIONS // 2

    wait_until(is_shared, message="the second to have its share")


def test_a_failure_is_forgotten_once_a_member_has_read_past_it(join: Callable[..., GroupReader]) -> None:
    publish(4)
    held = services.acquire_partition("billing", "orders", 0, member="worker")
    assert held
    services.record_failure(held, 0, error="no", retry_seconds=0)
    reader = join()
    assert len(reader.poll()) == 4
    reader.commit()
    assert not GroupPartition.objects.filter(failing_offset__isnull=False).exists()
