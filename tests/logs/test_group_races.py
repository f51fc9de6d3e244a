"""Two at once on a group, in the worst order: members, resets, pauses and retention."""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from logs import selectors, services, store
from logs.errors import (
    Fenced,
    MemberFenced,
    OffsetOutOfRange,
    PlanOutdated,
    ResetOvertaken,
)
from logs.models import Reset, ResetMove
from logs.services import Assignment, GroupReader, group_reader, read_group, resets
from tests.concurrency import all_at_once, held_open, in_thread
from tests.house import PROJECT
from tests.logs.racing import PARTITIONS, ROUNDS, acquire, committed, create_group, publish, someone_waits
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def group(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 0.0)
    create_group()
    return "billing"


@pytest.fixture
def join() -> Iterator[Callable[..., GroupReader]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(read_group("billing", boundary="billing", **options))


def holders() -> dict[int, str]:
    group = selectors.require_group("billing")
    return {h.number: h.owner for h in store.holdings(group.id, using="default") if h.owner}


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


# Members


def test_of_a_static_member_that_joins_many_times_at_once_one_is_left() -> None:
    join_once = partial(services.join_group, "billing", boundary="billing", instance="billing-1")
    joined = sorted(all_at_once([join_once] * 6), key=lambda m: m.epoch)
    assert [m.epoch for m in joined] == [1, 2, 3, 4, 5, 6]
    for former in joined[:-1]:
        for act in (services.sync_member, partial(services.keep_member, group_partition_ids=[])):
            with pytest.raises(MemberFenced):
                act(former)
    assert len(services.sync_member(joined[-1]).gained) == PARTITIONS


def test_members_that_take_their_shares_at_once_never_hold_the_same() -> None:
    members = [services.join_group("billing", boundary="billing") for _ in range(4)]
    for _ in range(3):
        shares = all_at_once([partial(services.sync_member, member) for member in members])
        taken = [(a.partition, a.epoch) for share in shares for a in share.gained]
        assert len(taken) == len(set(taken))
        assert len({partition for partition, _ in taken}) == len(taken)
        for share in shares:
            for assignment in share.gained:
                services.release_partition(assignment)


def test_a_reset_in_two_halves_and_a_static_member_that_comes_again_do_not_deadlock() -> None:
    before = deadlocks()

    def come_again() -> int:
        for _ in range(ROUNDS):
            member = services.join_group("billing", boundary="billing", instance="billing-1")
            services.sync_member(member)
        return member.epoch

    def reset() -> int:
        return sum(attempt_reset({"orders": None}) for _ in range(ROUNDS))

    epoch, done, _ = all_at_once([come_again, reset, reset])
    assert epoch == ROUNDS
    assert done > 0
    assert deadlocks() == before


def attempt_reset(topics: dict[str, Any]) -> bool:
    try:
        services.reset_offsets("billing", "to-earliest", topics=topics, actor="ann")
    except (PlanOutdated, ResetOvertaken):
        return False
    return True


def test_resets_and_commits_of_many_partitions_in_any_order_do_not_deadlock() -> None:
    publish(PARTITIONS * 2)
    before = deadlocks()

    def commit(seed: int) -> int:
        chance, done = random.Random(seed), 0
        mine = range(seed, PARTITIONS, 2)
        for _ in range(ROUNDS):
            held = [services.acquire_partition("billing", "orders", n, member=f"m{seed}") for n in mine]
            offsets = {a: 1 for a in chance.sample(held, len(held)) if a}
            done += len(services.commit_offsets(offsets))
            for assignment in offsets:
                services.release_partition(assignment)
        return done

    def reset(seed: int) -> int:
        chance = random.Random(seed)
        return sum(
            attempt_reset({"orders": chance.sample(range(PARTITIONS), PARTITIONS // 2)}) for _ in range(ROUNDS // 2)
        )

    works = [partial(commit, 0), partial(commit, 1), partial(reset, 2), partial(reset, 3)]
    committed_, also, *resets_ = all_at_once(works)
    assert min(committed_, also, sum(resets_)) > 0  # of the two that reset one may always come too late
    assert deadlocks() == before
    assert holders() == {}


# Pauses


def test_nobody_holds_anything_once_a_pause_has_returned_even_who_was_about_to() -> None:
    with held_open(lambda: acquire(3)) as commit:
        paused = in_thread(lambda: services.pause_group("billing", actor="ann", grace_seconds=0))
        wait_until(someone_waits, message="the pause to wait for who is acquiring")
        commit()
        paused.result(timeout=10)
        assert holders() == {}


def test_who_looked_before_a_pause_and_acquires_after_it_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its statement had begun: it does not see the pause."""
    store_acquire = store.acquire

    def acquire_slowly(*args: Any, **options: Any) -> Any:
        taken = store_acquire(*args, **options)
        running.append(in_thread(lambda: services.pause_group("billing", actor="ann", grace_seconds=0)))
        wait_until(lambda: in_thread(is_paused).result(timeout=10), message="the pause")
        return taken

    running: list[Any] = []
    monkeypatch.setattr(store, "acquire", acquire_slowly)
    free = store.holdings(selectors.require_group("billing").id, using="default")[:1]
    assert services.acquire_partitions("billing", free, member="a") == []
    running[0].result(timeout=10)
    assert holders() == {}


def is_paused() -> bool:
    return selectors.require_group("billing").paused_at is not None


def test_who_acquires_or_takes_again_all_the_time_holds_nothing_once_a_pause_has_returned() -> None:
    publish(PARTITIONS)
    stop = threading.Event()

    def take(held: Assignment) -> int:
        taken = 0
        while not stop.is_set():
            services.release_partition(held)
            taken += bool(services.take_again(held, member="a"))
            other = services.acquire_partition("billing", "orders", held.partition + 2, member="a")
            if other:
                services.release_partition(other)
        services.release_partition(held)
        return taken

    def pause() -> int:
        held = 0
        for _ in range(ROUNDS):
            services.pause_group("billing", actor="ann", grace_seconds=10)
            held += len(holders())
            services.resume_group("billing", actor="ann")
        stop.set()
        return held

    works: list[Callable[[], int]] = [partial(take, acquire(0)), partial(take, acquire(1)), pause]
    *taken, held = all_at_once(works)
    assert min(taken) > 0
    assert held == 0


def test_members_that_acquire_all_the_time_hold_nothing_once_a_pause_has_returned() -> None:
    for _ in range(ROUNDS // 3):
        members = [services.join_group("billing", boundary="billing") for _ in range(2)]

        def pause() -> dict[int, str]:
            services.pause_group("billing", actor="ann", grace_seconds=0)
            return holders()

        works: list[Callable[[], object]] = [partial(services.sync_member, member) for member in members]
        assert all_at_once([*works, pause])[-1] == {}
        for member in members:
            services.leave_group(member)
        services.resume_group("billing", actor="ann")


# Retention


@pytest.mark.parametrize(
    ("policy", "first"), [("earliest", 15), ("latest", 20), ("none", None), ("by_duration:PT1H", 15)]
)
def test_retention_that_passes_a_member_between_two_polls_moves_it_as_its_policy_says(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch, policy: str, first: int | None
) -> None:
    services.reset_offsets("billing", "to-earliest", actor="ann")
    services.alter_group("billing", auto_offset_reset=policy, actor="ann")
    publish(20, partition=0)
    reader = join()
    reader.poll(max_records=5)
    reader.commit()
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 10.0)
    reader.poll(max_records=1)
    reader._positions |= reader._committed  # as if it had only looked
    services.delete_records("orders", {0: 15}, actor="ann")
    if first is None:
        with pytest.raises(OffsetOutOfRange):
            reader.poll()
        assert committed() == 5
        return
    records = reader.poll(max_records=100)
    publish(1, partition=0)
    records += reader.poll(max_records=100)
    reader.commit()
    assert [r.offset for r in records] == list(range(first, 21))
    assert committed() == 21
    assert ResetMove.objects.filter(reset__mode="auto").count() == 1


# A reset that dies


def test_a_reset_that_died_between_its_halves_holds_nobody_up_for_long(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(PARTITIONS)
    reader = join()
    assert len(reader.poll()) == PARTITIONS
    monkeypatch.setattr(resets, "RESET_SECONDS", 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(resets, "_move", lambda *args, **options: int("the process dies"))
        patch.setattr(store, "release", lambda *args, **options: False)
        with pytest.raises(ValueError, match="dies"):
            services.reset_offsets("billing", "to-latest", actor="ann")
    with pytest.raises(Fenced, match="a reset by ann is under way"):
        reader.commit()
    reader.poll()
    assert set(holders().values()) == {"reset by ann"}
    records: list[services.Record] = []

    def goes_on() -> bool:
        records.extend(reader.poll())
        return len(reader.assignments) == PARTITIONS

    wait_until(goes_on, message="the member to go on by itself")
    assert len(records) == PARTITIONS, "nothing was moved: what was fenced comes again"
    assert not Reset.objects.filter(actor="ann").exists()


# Clocks


def test_no_clock_of_a_process_says_who_holds_what() -> None:
    wall_clock = re.compile(r"\btime\.time\(|datetime\.now|timezone\.now|utcnow")
    for name in ("group_reader", "groups", "holding", "members", "pausing", "resets", "waiting"):
        assert not wall_clock.search((PROJECT / "logs" / "services" / f"{name}.py").read_text()), name
    assert not wall_clock.search((PROJECT / "logs" / "sharing.py").read_text())


def test_a_member_whose_clock_jumps_holds_what_it_held(
    join: Callable[..., GroupReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = join(session_seconds=5)
    reader.poll()
    now = time.time
    for hours in (1, -1):
        monkeypatch.setattr(time, "time", lambda hours=hours: now() + hours * 3_600)
        reader._beat_at = 0.0
        reader.poll()
        assert services.acquire_partition("billing", "orders", 0, member="other") is None
        assert len(reader.assignments) == PARTITIONS
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT max(expires_at) - now() < interval '6 s' FROM logs_group_partition")
            assert cursor.fetchone() == (True,)
