"""Members share a group's partitions by themselves, and whoever is gone or fenced harms nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.db import connection, transaction

from logs import selectors, services
from logs.errors import Fenced, MemberFenced, UnknownMember
from logs.models import GroupPartition, Member
from logs.services import GroupReader, NewRecord, group_reader, read_group
from mqsite.errors import Invalid, NotOwner
from mqsite.models import AuditEntry
from tests.concurrency import elsewhere, in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PARTITIONS = 6


@pytest.fixture(autouse=True)
def group(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 0.0)  # each poll looks at its share
    services.create_topic("orders", owner="shop", partitions=PARTITIONS)
    services.create_group("billing", owner="billing", topics=["orders"])
    return "billing"


@pytest.fixture
def join() -> Iterator[Callable[..., GroupReader]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(read_group("billing", boundary="billing", **options))


def publish(count: int, *, start: int = 0) -> None:
    records = [NewRecord(n, partition=n % PARTITIONS) for n in range(start, start + count)]
    services.publish_many("orders", records, boundary="shop")


def held(reader: GroupReader) -> set[int]:
    return {a.partition for a in reader.assignments}


def settle(*readers: GroupReader) -> None:
    """Polls until everybody has a share, and commits what comes."""

    def is_settled() -> bool:
        for reader in readers:
            reader.poll()
            reader.commit()
        sizes = [len(reader.assignments) for reader in readers]
        return sum(sizes) == PARTITIONS and max(sizes) - min(sizes) <= 1

    wait_until(is_settled, message="the members to share the partitions")


def state() -> str:
    return selectors.group_state(selectors.require_group("billing"))


def test_one_member_reads_all_partitions_in_order(join: Callable[..., GroupReader]) -> None:
    publish(60)
    reader = join()
    records = reader.poll(max_records=100)
    assert len(records) == 60
    for number in range(PARTITIONS):
        offsets = [r.offset for r in records if r.partition == number]
        assert offsets == list(range(10))


def test_members_share_evenly_and_read_each_record_once(join: Callable[..., GroupReader]) -> None:
    first, second, third = join(), join(), join()
    settle(first, second, third)
    publish(60)
    seen = Counter[int]()
    for reader in (first, second, third):
        seen.update(r.json() for r in reader.poll(max_records=100))
        reader.commit()
    assert seen == Counter(range(60))
    assert sorted(map(len, (held(first), held(second), held(third)))) == [2, 2, 2]


def test_partitions_that_do_not_move_are_not_disturbed_when_a_member_comes(join: Callable[..., GroupReader]) -> None:
    first, second = join(), join()
    settle(first, second)
    epochs = {a.partition: a.epoch for a in [*first.assignments, *second.assignments]}
    third = join()
    settle(first, second, third)
    stayed = [*first.assignments, *second.assignments]
    assert len(stayed) == 4
    assert all(epochs[a.partition] == a.epoch for a in stayed)


def test_a_partition_is_given_up_only_once_what_was_read_of_it_is_committed(
    join: Callable[..., GroupReader],
) -> None:
    first = join()
    publish(60)
    assert len(first.poll(max_records=100)) == 60
    second = join()
    second.poll()
    first.poll()
    assert held(second) == set(), "what the first is at work on is not taken from it"
    first.commit()
    second.poll()
    assert len(held(second)) == 3
    assert second.poll() == [], "and nothing of it comes twice"


def test_who_leaves_is_replaced_at_once(join: Callable[..., GroupReader]) -> None:
    first = join()
    with read_group("billing", boundary="billing") as second:
        settle(first, second)
    first.poll()
    assert held(first) == set(range(PARTITIONS))


def test_who_falls_silent_is_replaced_and_can_harm_nothing(join: Callable[..., GroupReader]) -> None:
    first, second = join(), join()
    settle(first, second)
    publish(60)
    lost = held(second)
    assert len(second.poll(max_records=100)) == 30
    expire(second)
    settle(first)
    assert held(first) == set(range(PARTITIONS))
    with pytest.raises(Fenced, match="holds it now"):
        second.commit()
    assert lost


def expire(reader: GroupReader) -> None:
    """As if it had slept past its session."""
    Member.objects.filter(name=reader.membership.member).update(expires_at="2000-01-01T00:00Z")
    GroupPartition.objects.filter(owner=reader.membership.member).update(expires_at="2000-01-01T00:00Z")


def test_who_wakes_up_again_is_a_member_again(join: Callable[..., GroupReader]) -> None:
    first, second = join(), join()
    settle(first, second)
    expire(second)
    settle(first)
    second._beat_at = 0.0
    settle(first, second)
    assert len(held(second)) == 3


def test_a_static_member_that_comes_again_has_its_partitions_at_once_and_fences_its_former_self(
    join: Callable[..., GroupReader],
) -> None:
    other, old = join(), join(instance="billing-1")
    settle(other, old)
    before = held(old)
    publish(60)
    old.poll()
    new = join(instance="billing-1")
    new.poll()
    assert held(new) == before
    with pytest.raises(Fenced):
        old.commit()
    old._beat_at = 0.0
    with pytest.raises(MemberFenced, match="joined again since, in epoch 2: you are in 1"):
        old.poll()


def test_a_static_member_keeps_its_partitions_across_a_restart(join: Callable[..., GroupReader]) -> None:
    other = join()
    with read_group("billing", boundary="billing", instance="billing-1") as member:
        settle(other, member)
        before = held(member)
    other.poll()
    assert held(other) == set(range(PARTITIONS)) - before
    again = join(instance="billing-1")
    again.poll()
    assert held(again) == before


def test_old_and_new_handlers_in_one_group_leave_nothing_unread(join: Callable[..., GroupReader]) -> None:
    """A rolling deploy: the new release reads a topic more."""
    services.create_topic("payments", owner="shop", partitions=2)
    old, new = join(topics=["orders"]), join(topics=["orders", "payments"])
    wait_until(lambda: (old.poll(), new.poll(), len(old.assignments) == len(new.assignments) == 4)[-1])
    assert {a.topic for a in old.assignments} == {"orders"}
    assert {(a.topic, a.partition) for a in new.assignments} >= {("payments", 0), ("payments", 1)}


def test_the_handlers_writes_and_the_commit_are_one_transaction(join: Callable[..., GroupReader]) -> None:
    publish(12)
    reader = join()
    with pytest.raises(KeyError), reader.transaction():
        handle(reader.poll())
        raise KeyError
    reader.poll()
    with pytest.raises(KeyError), reader.transaction():
        raise KeyError
    records = reader.poll()
    assert len(records) == 12, "what failed comes again"
    with reader.transaction():
        handle(records)
    assert AuditEntry.objects.filter(actor="handler").count() == 12
    assert reader.poll() == []


def handle(records: list[services.Record]) -> None:
    for record in records:
        AuditEntry.objects.create(actor="handler", action="bill", subject=str(record.json()))


def test_a_reset_in_the_middle_of_a_transaction_undoes_it_and_the_member_goes_on(
    join: Callable[..., GroupReader],
) -> None:
    publish(12)
    reader = join()
    reader.poll(max_records=6)
    reader.commit()
    records = reader.poll()
    with pytest.raises(Fenced, match="a reset by ann is under way"), reader.transaction():
        handle(records)
        reset = in_thread(lambda: services.reset_offsets("billing", "to-earliest", actor="ann"))
        wait_until(someone_waits, message="the reset to wait for the handler")
    assert len(reset.result(timeout=10)["partitions"]) == PARTITIONS
    assert not AuditEntry.objects.filter(actor="handler").exists()
    assert len(reader.poll()) == 12


def someone_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_a_member_reads_as_the_groups_owner_only() -> None:
    with pytest.raises(NotOwner, match="Only billing reads as billing; you act for shop"):
        services.join_group("billing", boundary="shop")


@pytest.mark.parametrize("seconds", [0, -1, 1801, float("nan")])
def test_a_session_has_bounds(seconds: float) -> None:
    with pytest.raises(Invalid, match="allowed are 1 to 1800"):
        services.join_group("billing", boundary="billing", session_seconds=seconds)


def test_a_member_that_was_forgotten_is_told_to_join_again(join: Callable[..., GroupReader]) -> None:
    reader = join()
    Member.objects.update(expires_at="2000-01-01T00:00Z")
    assert services.forget_members() == 1
    with pytest.raises(UnknownMember, match="Join again"):
        reader.poll()


def test_the_heart_keeps_a_member_whose_handler_is_slow(join: Callable[..., GroupReader]) -> None:
    reader = join(session_seconds=1.0)
    reader.poll()
    joined_at = Member.objects.get().expires_at
    wait_until(lambda: Member.objects.get().expires_at > joined_at, message="a heartbeat")
    late = GroupPartition.objects.filter(group__name="billing", expires_at__lte=joined_at)
    wait_until(lambda: not late.exists(), message="the partitions to be renewed")


def test_a_member_that_does_not_poll_any_more_is_left_to_expire(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_reader, "MAX_POLL_SECONDS", 0.1)
    stuck, other = join(session_seconds=1.0), join()
    stuck.poll()
    assert held(stuck)
    settle(other)
    assert held(other) == set(range(PARTITIONS))


def test_states_have_kafkas_names(join: Callable[..., GroupReader]) -> None:
    assert state() == "Empty"
    reader = join()
    assert state() == "Reconciling"
    reader.poll()
    assert state() == "Stable"


def test_growth_of_a_topic_is_shared_as_well(join: Callable[..., GroupReader]) -> None:
    first, second = join(), join()
    settle(first, second)
    services.add_partitions("orders", PARTITIONS + 2, actor="test")
    services.publish_many("orders", [NewRecord(1, partition=PARTITIONS + n) for n in range(2)], boundary="shop")
    got = [r.partition for reader in (first, second) for r in (reader.poll(), reader.poll())[-1] or reader.poll()]
    wait_until(lambda: (first.poll(), second.poll(), len(held(first)) == len(held(second)) == 4)[-1])
    assert set(got) <= {PARTITIONS, PARTITIONS + 1}


def test_a_paused_group_gives_nothing_and_goes_on_where_it_stood(join: Callable[..., GroupReader]) -> None:
    publish(60)
    reader = join()
    reader.poll(max_records=10)
    reader.commit()
    elsewhere(lambda: services.pause_group("billing", actor="ann", reason="deploy", grace_seconds=0))
    assert reader.poll() == []
    assert reader.assignments == []
    services.resume_group("billing", actor="ann")
    assert len(reader.poll(max_records=100)) == 50


def test_a_batch_at_work_ends_before_a_pause_takes_hold(join: Callable[..., GroupReader]) -> None:
    publish(6)
    reader = join()
    reader.poll()
    billing = selectors.require_group("billing")
    paused = in_thread(lambda: services.pause_group("billing", actor="ann", grace_seconds=30))
    wait_until(lambda: selectors.require_group("billing").paused_at is not None)
    reader.commit()
    paused.result(timeout=10)
    assert all(c["committed"] == 1 for c in selectors.committed_offsets(billing))
    assert reader.assignments == []


def test_a_commit_that_does_not_wait_for_the_disk_leaves_others_durable(join: Callable[..., GroupReader]) -> None:
    publish(6)
    reader = join()
    reader.poll()
    reader.commit(is_soon=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('synchronous_commit') = reset_val FROM pg_settings"
            " WHERE name = 'synchronous_commit'"
        )
        assert cursor.fetchone() == (True,)
    assert all(c["committed"] == 1 for c in selectors.committed_offsets(selectors.require_group("billing")))


def test_the_durability_of_a_transaction_is_its_authors(join: Callable[..., GroupReader]) -> None:
    publish(6)
    reader = join()
    reader.poll()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        before = cursor.fetchone()
        reader.commit(is_soon=True)
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == before
