"""Members of groups: what their commits cost, what sharing brings, and how soon a reset is over."""

import contextlib
import time
from collections.abc import Iterator
from functools import partial

from benchmarks import log_calls, log_raw
from benchmarks.house import settle
from benchmarks.log_life import commit_asynchronously, hold_snapshot
from benchmarks.messaging import OWNER
from benchmarks.options import Options
from benchmarks.producers import Producers, start_producers
from benchmarks.ratio import Goal, Operation, Row, compare, measure, run_operation
from logs import services, store
from logs.errors import Fenced
from logs.services import NewRecord
from mqsite.stack.errors import StackError

POLL_RECORDS = 1_000
SHARED_PARTITIONS = 16
RESET_PARTITIONS = 64
LAST_CHURNED = 0.05
SETTLE_SECONDS = 60.0
SESSION_SECONDS = 10.0


def measure_commits(options: Options) -> Iterator[Row]:
    """A member's poll of 1,000 and commit / a SELECT of the same columns by key range, prepared, as tuples.

    The member commits without waiting for the disk, as it may outside a handler's transaction: after a crash of
    the server the last records come again.
    """
    topic = log_calls.make_topic()
    log_calls.load_topic(topic, options.batch_records)
    log_raw.make_plain_table()
    log_raw.fill_plain_table(topic)
    calls = options.batch_records // POLL_RECORDS - 1
    sides = {
        "ours": lambda: run_operation(read_as_member(topic, calls=calls, is_soon=True)),
        "durable": lambda: run_operation(read_as_member(topic, calls=calls, is_soon=False)),
        "raw": lambda: run_operation(log_raw.select_batches(topic, POLL_RECORDS, calls=calls)),
    }
    found = measure(options.rounds, sides)
    yield compare("poll 1,000 and commit / SELECT of 1,000", found["ours"], found["raw"], goal=Goal(0.6))
    yield compare("the same, each commit waiting for the disk / SELECT of 1,000", found["durable"], found["raw"])


def measure_sharing(options: Options) -> Iterator[Row]:
    """4 members in processes of their own, 4 partitions each / 1 member with all 16, polling and committing 1,000."""
    topic = log_calls.make_topic(SHARED_PARTITIONS)
    log_calls.load_topic(topic, max(options.batch_records * 20, SHARED_PARTITIONS * POLL_RECORDS))
    settle()
    with start_producers(4) as members:
        found = measure(
            options.rounds,
            {
                "four": partial(_rate_of_members, members, topic, 4, options.seconds),
                "one": partial(_rate_of_members, members, topic, 1, options.seconds),
            },
        )
    case = f"4 members on {SHARED_PARTITIONS} partitions / 1 member"
    yield compare(case, found["four"], found["one"], goal=Goal(1.3))


def measure_churned_commits(options: Options) -> Iterator[Row]:
    """The time of one commit after many of one group, while a REPEATABLE READ snapshot is held / while none is."""
    topic = log_calls.make_topic()
    log_calls.load_topic(topic, 10_000)
    sides = {
        "held": partial(_commit_churned, topic, options, is_held=True),
        "free": partial(_commit_churned, topic, options, is_held=False),
    }
    found = measure(options.rounds, sides, warm_up=False)
    case = f"one commit after {options.churn:,} of a group under a held snapshot / after as many without"
    yield compare(case, found["held"], found["free"], goal=Goal(1.5, is_upper=True), unit="µs")


def measure_resets(options: Options) -> Iterator[Row]:
    """From the call of a reset of a live group to its log start until its 2 members have committed anew everywhere."""
    topic = log_calls.make_topic(RESET_PARTITIONS)
    records = [
        NewRecord(value, partition=number) for number in range(RESET_PARTITIONS) for value in log_calls.VALUES[:100]
    ]
    services.publish_many(topic, records, boundary=OWNER)
    with start_producers(2) as members:
        seconds = [_time_reset(members, topic) for _ in range(options.rounds)]
    case = f"reset of {RESET_PARTITIONS} partitions of a live group, until its members carry on"
    yield Row(case, seconds, [], seconds, Goal(1, is_upper=True), "s")


def read_as_member(
    topic: str,
    *,
    group: str | None = None,
    share: int = 1,
    calls: int | None = None,
    is_soon: bool = True,
    is_endless: bool = False,
) -> Operation:
    """Polls and commits 1,000 a step. Ready once the member holds its `share` of partitions."""
    name = group or make_group(topic)
    with services.read_group(name, boundary=OWNER, session_seconds=SESSION_SECONDS) as reader:
        deadline = time.monotonic() + SETTLE_SECONDS
        reader.poll(max_records=1)
        while len(reader.assignments) != share:
            reader.commit(is_soon=True)
            reader.poll(max_records=1, wait_seconds=0.1)
            if time.monotonic() > deadline:
                raise StackError(f"A member holds {len(reader.assignments)} partitions, not {share}.")
        reader.commit(is_soon=True)
        yield 0
        for _ in log_calls.steps(calls):
            records = reader.poll(max_records=POLL_RECORDS, wait_seconds=0.5 if is_endless else 0)
            with contextlib.suppress(Fenced):
                reader.commit(is_soon=is_soon)
            yield len(records)
            if not records and not is_endless:
                return


def make_group(topic: str) -> str:
    name = f"reader-{next(log_calls.numbers)}"
    services.create_group(name, owner=OWNER, topics=[topic])
    return name


def _rate_of_members(members: Producers, topic: str, count: int, seconds: float) -> float:
    group = make_group(topic)
    order = partial(read_as_member, topic, group=group, share=SHARED_PARTITIONS // count)
    rate = members.run_for([order] * count, seconds)
    services.delete_group(group, actor=OWNER)
    return rate


def _commit_churned(topic: str, options: Options, *, is_held: bool) -> float:
    group = make_group(topic)
    with hold_snapshot() if is_held else contextlib.nullcontext():
        assignment = services.acquire_partition(group, topic, 0, member="churn", seconds=3_600)
        assert assignment
        with log_calls.silence_hints(), commit_asynchronously():
            for number in range(options.churn):
                services.commit_offset(assignment, number % 10_000)
            last = int(options.churn * LAST_CHURNED)
            started = time.perf_counter()
            for number in range(last):
                services.commit_offset(assignment, number)
            took = time.perf_counter() - started
    services.release_partition(assignment)
    services.delete_group(group, actor=OWNER)
    settle()
    return took / last * 1e6


def _time_reset(members: Producers, topic: str) -> float:
    group = make_group(topic)
    order = partial(read_as_member, topic, group=group, share=RESET_PARTITIONS // 2, is_endless=True)
    took = 0.0

    def reset() -> None:
        nonlocal took
        _wait_until(group, caught_up=True)
        started = time.perf_counter()
        services.reset_offsets(group, "to-earliest", actor=OWNER)
        _wait_until(group, caught_up=False)
        took = time.perf_counter() - started

    members.run([order] * 2, meanwhile=reset)
    services.delete_group(group, actor=OWNER)
    return took


def _wait_until(group: str, *, caught_up: bool) -> None:
    """Until the group has read everything, or has committed something new on every partition."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        rows = store.reset_view(group, using="default")
        if all(row.committed == row.log_end if caught_up else row.committed for row in rows):
            return
        if time.monotonic() > deadline:
            raise StackError(f"{group} does not get on.")
        time.sleep(0.005)
