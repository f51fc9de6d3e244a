"""The loop: fetch, handler, commit."""

import logging
import random
import time
from collections.abc import Collection
from dataclasses import replace

from logs import selectors, services
from logs.consumer.delivering import Delivered, deliver
from logs.consumer.parked import retry_asked
from logs.errors import Fenced
from logs.handlers import Reads, Subscription, subscriptions
from logs.rows import Behind, Record
from logs.services import Assignment
from mqsite import activity, limits, workers
from mqsite.boundaries import require_owner
from mqsite.errors import MessagingError
from mqsite.handling import Stop
from mqsite.remembered import Remembered

logger = logging.getLogger(__name__)

FETCH_RECORDS = 1_000
FETCH_BYTES = 8 * 1024 * 1024
DRAIN_SECONDS = 10.0  # then the next in line gets the worker
SWEEP_PARTITIONS = 1_000

# What this process reads, by group partition. What a drain left behind with a lost database expires.
_read: set[int] = set()
# What it let go at the log end, with where it goes on: what nobody else held meanwhile need not be acquired anew.
_left: Remembered[tuple[Reads, int], Assignment] = Remembered()
_left_alone: set[Reads] = set()


def drain(group: str, topic: str, partition: int, *, stop: Stop) -> bool:
    """Read a partition to its end, or for DRAIN_SECONDS; whether more is left to do.

    Looks again after it has let go: a record published in between has nobody else to find it. A handler with limits
    is left to the sweep after that time, so that its other partitions have their turn; a worker that stops leaves it to
    another.
    """
    subscription = subscriptions.get(Reads(group, topic))
    if subscription is None:
        _leave_alone(Reads(group, topic))
        return False
    deadline = time.monotonic() + DRAIN_SECONDS

    def halt() -> bool:
        return stop() or time.monotonic() > deadline

    while not halt():
        with limits.slot(subscription.limit_name, subscription.options.concurrency) as is_free:
            if not is_free or not hold_and_read(subscription, partition, halt):
                return False
    return stop() or not subscription.options.is_limited


def sweep(*, stop: Stop) -> int:
    """Drain what no wake-up announced, and try again what was parked; how many partitions and records that was."""
    return drain_behind(None, stop=stop)


def drain_behind(only: Collection[Reads] | None, *, stop: Stop) -> int:
    """As `sweep`, of these groups and topics alone, None: of all that have a handler here."""
    groups = sorted({s.group.name for s in subscriptions} if only is None else {reads.group for reads in only})
    found = [b for b in selectors.find_behind(groups, limit=SWEEP_PARTITIONS) if _is_among(b.group, b.topic, only)]
    random.shuffle(found)  # where limits let few of them run, each comes first some time
    for item in found:
        if stop():
            break
        _drain_quietly(item, stop)
    return len(found) + _retry_parked(groups, only, stop)


def hold_and_read(subscription: Subscription, partition: int, halt: Stop) -> bool:
    """False when nothing is unread, or this member should let others go on."""
    assignment = _hold(subscription, partition)
    if assignment is None:
        return False
    _read.add(assignment.group_partition_id)
    try:
        with activity.working_on(f"{subscription.topic}-{partition} for {subscription.group}"):
            return _read_on(assignment, subscription, halt)
    except Fenced as fenced:
        logger.info("%s", fenced)
        return True
    finally:
        _read.discard(assignment.group_partition_id)
        services.release_partition(assignment)


def renew_partitions() -> int:
    """The heartbeat: keep what this process reads, however slow its handlers are."""
    return services.renew_partitions(workers.name(), list(_read))


def _drain_quietly(item: Behind, stop: Stop) -> None:
    try:
        drain(item.group, item.topic, item.partition, stop=stop)
    except MessagingError as refusal:  # deleted, or of another owner: the other partitions go on
        logger.warning("%s of %s was not swept: %s", item.topic, item.group, refusal)


def _is_among(group: str, topic: str, only: Collection[Reads] | None) -> bool:
    return only is None or Reads(group, topic) in only


def _retry_parked(groups: list[str], only: Collection[Reads] | None, stop: Stop) -> int:
    tried = 0
    for group, topic in selectors.find_asked(groups):
        if not _is_among(group, topic, only):
            continue
        subscription = subscriptions.get(Reads(group, topic))
        if subscription is None:
            _leave_alone(Reads(group, topic))
            continue
        try:
            require_own(subscription)
            with limits.slot(subscription.limit_name, subscription.options.concurrency) as is_free:
                tried += retry_asked(subscription, stop) if is_free else 0
        except MessagingError as refusal:
            logger.warning("What %s parked of %s was not tried again: %s", group, topic, refusal)
    return tried


def require_own(subscription: Subscription) -> None:
    """Refuse to read as another boundary than the group's owner."""
    group = subscription.group
    require_owner(selectors.require_group(group.name).owner.name, group.owner, verb="reads as", name=group.name)


def _leave_alone(reads: Reads) -> None:
    if reads not in _left_alone:
        _left_alone.add(reads)
        logger.warning("No handler here reads %s for %s; left to other workers.", reads.topic, reads.group)


def _hold(subscription: Subscription, partition: int) -> Assignment | None:
    left = _left.pop((Reads(subscription.group.name, subscription.topic), partition), None)
    if left is not None:
        is_unread = services.take_again(left, member=workers.name(), boundary=subscription.group.owner)
        if is_unread is False:
            _leave_off(subscription, left)
            return None
        if is_unread:
            return left
    return services.acquire_partition(
        subscription.group.name,
        subscription.topic,
        partition,
        member=workers.name(),
        boundary=subscription.group.owner,
        only_unread=True,
    )


def _leave_off(subscription: Subscription, assignment: Assignment) -> None:
    if not subscription.options.is_limited:  # whose slots cost more than that saves
        _left.remember((Reads(subscription.group.name, subscription.topic), assignment.partition), assignment)


def _read_on(assignment: Assignment, subscription: Subscription, halt: Stop) -> bool:
    """Handle chunks from the assignment's position on."""
    pace = _Pace(subscription.options.most, alone=assignment.position if assignment.attempts else None)
    waiting: list[Record] = []
    position = assignment.position
    while not halt():
        if not waiting:
            waiting = services.fetch_assigned(assignment, position, max_records=FETCH_RECORDS, max_bytes=FETCH_BYTES)
        if not waiting:
            _leave_off(subscription, replace(assignment, position=position, attempts=0))
            return True
        chunk = pace.choose(waiting)
        granted = limits.take_tokens(subscription.limit_name, subscription.options.rate, len(chunk), halt=halt)
        if not granted:
            return halt()
        delivered = deliver(assignment, subscription, chunk[:granted], halt)
        if not delivered.goes_on:
            return False
        pace.note(delivered, chunk[:granted])
        if delivered.passed:
            position = chunk[delivered.passed - 1].offset + 1
            del waiting[: delivered.passed]
    return True


class _Pace:
    """How many records go into one call or transaction: after a failure fewer, until the culprit is alone; then
    more and more again."""

    def __init__(self, most: int, *, alone: int | None) -> None:
        self._most = self._size = most
        self._alone = alone  # the offset of a record that failed
        self._suspects_end: int | None = None  # the offset up to which one of the next records must be the culprit

    def choose(self, waiting: list[Record]) -> list[Record]:
        first = waiting[0].offset
        if self._alone is not None and self._alone >= first:
            return [record for record in waiting[: self._size] if record.offset < self._alone] or waiting[:1]
        if self._suspects_end is not None and self._suspects_end >= first:
            suspects = [record for record in waiting[: self._most] if record.offset <= self._suspects_end]
            self._size = max(1, len(suspects) // 2)
        return waiting[: self._size]

    def note(self, delivered: Delivered, chunk: list[Record]) -> None:
        if delivered.suspect is not None:
            self._alone = delivered.suspect
        elif delivered.is_failed:
            self._suspects_end = chunk[-1].offset
        else:
            self._size = min(self._most, self._size * 2)
