"""The loop: fetch, handler, commit. A handler's writes and the commit are one transaction."""

import logging
import time
import traceback
from collections.abc import Callable

from django.db import DEFAULT_DB_ALIAS, transaction

from logs import selectors, services
from logs.errors import Fenced
from logs.handlers import Reads, Subscription, subscriptions
from logs.rows import Behind, Record
from logs.services import Assignment
from mqsite import sql, workers
from mqsite.boundaries import require_owner
from mqsite.errors import MessagingError
from mqsite.retry import backoff_seconds

logger = logging.getLogger(__name__)

BATCH_RECORDS = 100
DRAIN_SECONDS = 10.0  # then the next in line gets the worker
SWEEP_PARTITIONS = 1_000

# What this process reads, by group partition. What a drain left behind with a lost database expires.
_read: set[int] = set()


def drain(group: str, topic: str, partition: int, *, stop: Callable[[], bool]) -> bool:
    """Read a partition to its end, or for DRAIN_SECONDS; whether more is left to do.

    Looks again after it has let go: a record published in between has nobody else to find it.
    """
    subscription = subscriptions.get(Reads(group, topic))
    if subscription is None:
        logger.info("No handler here reads %s for %s; left to other workers.", topic, group)
        return False
    require_owner(selectors.require_group(group).owner.name, subscription.group.owner, verb="reads as", name=group)
    deadline = time.monotonic() + DRAIN_SECONDS
    while selectors.has_unread(group, topic, partition):
        if stop() or time.monotonic() > deadline:
            return True
        assignment = services.acquire_partition(group, topic, partition, member=workers.name())
        if assignment is None:
            return False
        _read.add(assignment.group_partition_id)
        try:
            going_on = _read_on(assignment, subscription, lambda: stop() or time.monotonic() > deadline)
        finally:
            _read.discard(assignment.group_partition_id)
            services.release_partition(assignment)
        if not going_on:
            return False
    return False


def sweep(*, stop: Callable[[], bool]) -> int:
    """Drain what no wake-up announced; how many partitions that was."""
    groups = sorted({s.group.name for s in subscriptions})
    found = selectors.find_behind(groups, limit=SWEEP_PARTITIONS)
    for item in found:
        if stop():
            break
        _drain_quietly(item, stop)
    return len(found)


def renew_partitions() -> int:
    """The heartbeat: keep what this process reads, however slow its handlers are."""
    return services.renew_partitions(workers.name(), list(_read))


def _drain_quietly(item: Behind, stop: Callable[[], bool]) -> None:
    try:
        drain(item.group, item.topic, item.partition, stop=stop)
    except MessagingError as refusal:  # deleted, or of another owner: the other partitions go on
        logger.warning("%s of %s was not swept: %s", item.topic, item.group, refusal)


def _read_on(assignment: Assignment, subscription: Subscription, stop: Callable[[], bool]) -> bool:
    """Handle batches from the assignment's position on; False when this member should let others go on."""
    position = assignment.position
    one_by_one = assignment.attempts > 0
    while not stop():
        records = services.fetch_assigned(assignment, position, max_records=1 if one_by_one else BATCH_RECORDS)
        if not records:
            return True
        session = sql.session(DEFAULT_DB_ALIAS)
        try:
            goes_on = _handle(assignment, subscription, records)
        except Fenced as fenced:
            logger.info("%s", fenced)
            return True
        except Exception as error:
            if session.closed:
                raise  # not the handler's failure: the database went away
            if len(records) == 1:
                _note_failure(assignment, records[0], error)
                return False
            one_by_one = True  # find the record that failed; the others are not to blame
            continue
        if not goes_on:
            return False
        position = records[-1].offset + 1
    return True


def _handle(assignment: Assignment, subscription: Subscription, records: list[Record]) -> bool:
    """False: the group was paused meanwhile."""
    with transaction.atomic():
        services.begin_batch(assignment)
        for record in records:
            subscription.handler(record)
        # Last: from here to COMMIT a reset waits for us; before it, we notice the reset.
        return services.commit_offset(assignment, records[-1].offset + 1, count=len(records))


def _note_failure(assignment: Assignment, record: Record, error: Exception) -> None:
    retry_seconds = backoff_seconds(assignment.attempts + 1)
    logger.warning(
        "%s failed on %s-%s offset %s, next try in %.0f s: %s",
        assignment.group,
        record.topic,
        record.partition,
        record.offset,
        retry_seconds,
        error,
    )
    detail = "".join(traceback.format_exception(error))
    services.record_failure(assignment, record.offset, error=detail, retry_seconds=retry_seconds)
