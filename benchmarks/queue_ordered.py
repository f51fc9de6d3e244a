"""Queues that keep the order of each group key: what a blocked key costs the others, and ordering costs senders."""

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import queue_calls
from benchmarks.house import settle
from benchmarks.options import Options
from benchmarks.ratio import Goal, Row, compare, measure, run_operation
from queues.services import NewMessage

BATCH = 100
BLOCKED = "blocked"
FIFTH = 5


def measure_blocked(options: Options) -> Iterator[Row]:
    """receive+ack of 100 from an ordered queue with many messages behind one held key / with none behind it.

    On both sides one message of the blocked key is leased all through, and what is received is spread over 1,000
    other keys. One consumer, in this process.
    """
    sides = {
        "blocked": partial(_drain_beside, options.behind, options.messages // FIFTH),
        "none": partial(_drain_beside, 0, options.messages // FIFTH),
    }
    found = measure(options.rounds, sides)
    case = f"receive+ack of 100 with {options.behind:,} messages behind one blocked key / with none"
    yield compare(case, found["blocked"], found["none"], goal=Goal(0.9))


def _drain_beside(behind: int, count: int) -> float:
    queue = queue_calls.make_ordered_queue()
    queue_calls.hold_one(queue, BLOCKED)
    queue_calls.load_queue(queue, behind, make=_make_blocked)
    queue_calls.load_queue(queue, count + BATCH, make=queue_calls.spread_over_keys)
    settle()
    rate = run_operation(queue_calls.receive_and_ack(queue, BATCH))
    queue_calls.drop_queue(queue)
    return rate


def _make_blocked(number: int) -> NewMessage:
    return NewMessage(queue_calls.PAYLOADS[number % len(queue_calls.PAYLOADS)], BLOCKED)


def measure_ordered(options: Options) -> Iterator[Row]:
    """send_many of 1,000 to an ordered queue, each of another key / of the same messages to an unordered queue.

    Once with new keys in each call, whose messages all become heads; once with the same 1,000 in all calls, so
    that from the second on all of them wait behind others.
    """
    calls = max(1, options.messages // len(queue_calls.KEYS))
    found = measure(
        options.rounds,
        {
            "idle": partial(_send, queue_calls.make_ordered_queue, calls, find_key=_find_new_key),
            "busy": partial(_send, queue_calls.make_ordered_queue, calls, find_key=_find_same_key),
            "unordered": partial(_send, queue_calls.make_queue, calls, find_key=_find_same_key),
        },
    )
    case = "ordered send of 1,000 over 1,000"
    yield compare(f"{case} idle keys / unordered send", found["idle"], found["unordered"], goal=Goal(0.4))
    yield compare(f"{case} busy keys / unordered send", found["busy"], found["unordered"], goal=Goal(0.4))


def _send(make_queue: Callable[[], str], calls: int, *, find_key: Callable[[int, int], str]) -> float:
    queue = make_queue()
    rate = run_operation(queue_calls.send_batches(queue, len(queue_calls.KEYS), calls=calls, find_key=find_key))
    queue_calls.drop_queue(queue)
    return rate


def _find_new_key(call: int, place: int) -> str:
    return f"order-{call * len(queue_calls.KEYS) + place:06d}"


def _find_same_key(_: int, place: int) -> str:
    return queue_calls.KEYS[place]
