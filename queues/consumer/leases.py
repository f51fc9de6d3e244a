"""At least once: handlers run outside of a transaction, under a lease, and are acknowledged afterwards."""

import logging
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from mqsite import activity, limits, sql, workers
from mqsite.calling import run
from mqsite.handling import Stop, say_error
from queues import services
from queues.consumer.failures import judge, note_failure, split
from queues.errors import LeaseLost
from queues.handlers import Handled
from queues.rows import Lease, Message

logger = logging.getLogger(__name__)

LEASE_MESSAGES = 20  # under one lease, of a handler that takes one at a time

# What this process works on. A lease whose drain died with the database is not renewed and expires.
_worked_on: set[UUID] = set()


def worked_on() -> list[UUID]:
    return list(_worked_on)


def drain(subject: Handled, halt: Stop) -> bool:
    # A worker's heartbeat keeps it. What it does not work on any more is free when a dead worker's would be.
    lease_seconds = settings.MQSITE_MEMBER_SECONDS if workers.has_timers() else None
    most = subject.options.batch or LEASE_MESSAGES
    while not halt():
        granted = limits.take_tokens(subject.limit_name, subject.options.rate, most, halt=halt)
        if not granted:
            return halt()
        lease = services.receive(
            subject.queue, holder=workers.name(), max_messages=granted, lease_seconds=lease_seconds
        )
        begun = 0 if lease is None else _work_through(lease, subject, halt)
        limits.give_back_tokens(subject.limit_name, subject.options.rate, granted - begun)
        if lease is None:
            return False
    return True


def _work_through(lease: Lease, subject: Handled, halt: Stop) -> int:
    """How many were begun. Whatever ends this early, the rest goes back at once."""
    parts = deque([list(lease.messages)])
    _worked_on.add(lease.token)
    try:
        while parts and not halt():
            _handle_next(lease, subject, parts, halt)
    except LeaseLost as lost:
        logger.info("%s", lost)
    finally:
        _worked_on.discard(lease.token)
        waiting = [message for part in parts for message in part]
        if waiting:
            services.give_back(lease.token, [message.id for message in waiting], queue=lease.queue)
    return len(lease.messages) - len(waiting)


def _handle_next(lease: Lease, subject: Handled, parts: deque[list[Message]], halt: Stop) -> None:
    """The first part, or as much of it as is to be acknowledged together; the others wait in `parts`."""
    part = parts.popleft()
    session = sql.session(DEFAULT_DB_ALIAS)
    ran = run(subject.call, subject.options, part, halt=halt)
    is_lost = ran.error is not None and session.closed
    if is_lost:
        connections[DEFAULT_DB_ALIAS].close()  # so that the next statement opens another
    done, rest = part[: ran.done], part[ran.done :]
    failed = rest[:1] if ran.is_known else []
    again = [rest[len(failed) :]] if ran.error is None or failed else split(rest, ran)
    parts.extendleft(reversed([each for each in again if each]))
    if done:
        _require_held(services.ack(lease.token, [m.id for m in done], queue=lease.queue), lease)
        activity.note_handled(len(done))
    if is_lost and ran.error is not None:
        raise ran.error  # not the handler's failure: the database went away
    for message in failed:
        assert ran.error is not None
        _require_held(_settle(lease, subject, message, ran.error), lease)


def _settle(lease: Lease, subject: Handled, message: Message, error: Exception) -> Sequence[int]:
    """The id if the lease was lost."""
    note_failure(subject, message, error)
    fate = judge(subject, message, error)
    said, ids = say_error(error), [message.id]
    if fate.is_dead:
        return services.reject(lease.token, ids, queue=lease.queue, error=said)
    return services.nack(
        lease.token,
        ids,
        queue=lease.queue,
        delay_seconds=fate.delay_seconds,
        max_receives=fate.max_receives,
        error=said,
    )


def _require_held(lost: Sequence[int], lease: Lease) -> None:
    if lost:
        raise LeaseLost(lost=list(lost), queue=lease.queue)
