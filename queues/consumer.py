"""The loop: receive, handler, ack. A handler's writes and the ack are one transaction."""

import logging
import time
import traceback
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, transaction

from mqsite import sql, workers
from mqsite.errors import MessagingError
from queues import selectors, services
from queues.errors import LeaseLost
from queues.handlers import Handler, handled
from queues.rows import Lease, Message

logger = logging.getLogger(__name__)

BATCH_MESSAGES = 20
DRAIN_SECONDS = 10.0  # then the next in line gets the worker
SWEEP_QUEUES = 1_000

# What this process works on. A lease whose drain died with the database is not renewed and expires.
_worked_on: set[UUID] = set()


def drain(queue: str, *, stop: Callable[[], bool]) -> bool:
    """Handle what is ready until nothing is, or for DRAIN_SECONDS; whether more may be left to do."""
    subject = handled.get(queue)
    if subject is None:
        logger.info("No handler here handles %s; left to other workers.", queue)
        return False
    lease_seconds = max(selectors.locate_queue(queue).lease_seconds, settings.MQSITE_MEMBER_SECONDS)
    deadline = time.monotonic() + DRAIN_SECONDS
    while not (stop() or time.monotonic() > deadline):
        lease = services.receive(
            subject.queue, holder=workers.name(), max_messages=BATCH_MESSAGES, lease_seconds=lease_seconds
        )
        if lease is None:
            return False
        _work_through(lease, subject.handler, lambda: stop() or time.monotonic() > deadline)
    return True


def sweep(*, stop: Callable[[], bool]) -> int:
    """End what expired, promote what is due, drain what no wake-up announced; how many queues that was."""
    services.run_upkeep()
    found = selectors.find_waiting(sorted(subject.queue.name for subject in handled), limit=SWEEP_QUEUES)
    for queue in found:
        if stop():
            break
        _drain_quietly(queue, stop)
    return len(found)


def renew_leases() -> int:
    """The heartbeat: keep what this process works on, however slow its handlers are."""
    return services.renew_leases(workers.name(), tokens=list(_worked_on))


def _drain_quietly(queue: str, stop: Callable[[], bool]) -> None:
    try:
        drain(queue, stop=stop)
    except MessagingError as refusal:  # deleted, or of another owner: the other queues go on
        logger.warning("%s was not swept: %s", queue, refusal)


def _work_through(lease: Lease, handler: Handler, stop: Callable[[], bool]) -> None:
    """Handle the messages one by one. Whatever ends this early, the rest goes back at once."""
    waiting = list(lease.messages)
    _worked_on.add(lease.token)
    try:
        while waiting and not stop():
            _handle(waiting.pop(0), handler)
    except LeaseLost as lost:
        logger.info("%s", lost)
    finally:
        _worked_on.discard(lease.token)
        if waiting:
            services.give_back(lease.token, [message.id for message in waiting], queue=lease.queue)


def _handle(message: Message, handler: Handler) -> None:
    session = sql.session(DEFAULT_DB_ALIAS)
    try:
        with transaction.atomic():
            handler(message)
            # Last: from here to COMMIT a reap waits for us; before it, we notice the reap.
            services.ack_handled(message)
    except LeaseLost:
        raise
    except Exception as error:
        if session.closed:
            raise  # not the handler's failure: the database went away
        _note_failure(message, error)


def _note_failure(message: Message, error: Exception) -> None:
    logger.warning("%s failed on message %s, receive %s: %s", message.queue, message.id, message.receives, error)
    detail = "".join(traceback.format_exception(error))
    assert message.lease is not None  # received, not peeked
    services.nack(message.lease, [message.id], queue=message.queue, error=detail)
