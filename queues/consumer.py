"""The loop: receive, handler, ack. By default all of it is one transaction; else there is a lease."""

import logging
import time
import traceback
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from mqsite import sql, workers
from mqsite.errors import MessagingError
from queues import selectors, services
from queues.errors import LeaseLost
from queues.handlers import AT_LEAST_ONCE, Handled, Handler, handled
from queues.rows import Lease, Message

logger = logging.getLogger(__name__)

BATCH_MESSAGES = 20  # under one lease
TAKE_MESSAGES = 100  # in one transaction
TAKE_SECONDS = 1.0  # then it commits, and lets go what it has not come to
DRAIN_SECONDS = 10.0  # then the next in line gets the worker
SWEEP_QUEUES = 1_000

# What this process works on. A lease whose drain died with the database is not renewed and expires.
_worked_on: set[UUID] = set()

Stop = Callable[[], bool]


def drain(queue: str, *, stop: Stop) -> bool:
    """Handle what is ready until nothing is, or for DRAIN_SECONDS; whether more may be left to do."""
    subject = handled.get(queue)
    if subject is None:
        logger.info("No handler here handles %s; left to other workers.", queue)
        return False
    deadline = time.monotonic() + DRAIN_SECONDS

    def halt() -> bool:
        return stop() or time.monotonic() > deadline

    if subject.delivery == AT_LEAST_ONCE:
        return _drain_leases(subject, halt)
    try:
        return _drain_transactions(subject, halt)
    finally:
        services.end_handling()


def sweep(*, stop: Stop) -> int:
    """End what expired, promote what is due, drain what no wake-up announced; how many queues that was."""
    services.run_upkeep()
    found = selectors.find_waiting(sorted(subject.queue.name for subject in handled), limit=SWEEP_QUEUES)
    for queue in found:
        if stop():
            break
        _drain_quietly(queue, stop)
    return len(found)


def beat() -> int:
    """The heartbeat: keep what this process works on, however slow its handlers are; how many leases that is.

    And give back what dead workers held: a sweep may be busy with handlers for longer than that may take.
    """
    services.keep_handling()
    kept = services.renew_leases(workers.name(), tokens=list(_worked_on))
    services.reap()
    services.charge()
    return kept


def _drain_quietly(queue: str, stop: Stop) -> None:
    try:
        drain(queue, stop=stop)
    except MessagingError as refusal:  # deleted, or of another owner: the other queues go on
        logger.warning("%s was not swept: %s", queue, refusal)


# In one transaction


def _drain_transactions(subject: Handled, halt: Stop) -> bool:
    one_by_one = 0  # after a commit that failed: whose fault it was, each alone will show
    while not halt():
        taken = _Taken()
        session = sql.session(DEFAULT_DB_ALIAS)
        try:
            with transaction.atomic():
                _take_and_handle(subject, taken, halt, most=1 if one_by_one else TAKE_MESSAGES)
        except Exception as error:
            if session.closed or not taken.handled:
                raise  # not a handler's failure: the database went away, or the queue
            one_by_one = len(taken.chosen)
            services.let_go(taken.chosen)
            if one_by_one == 1:
                _log_failure(taken.chosen[0], error)
                services.fail_taken(taken.chosen[0], error=_say(error))
        if not taken.chosen:
            return False
        one_by_one = max(0, one_by_one - 1)
    return True


class _Taken:
    """What a transaction took to handle, and whether it got as far as its commit."""

    def __init__(self) -> None:
        self.chosen: list[Message] = []
        self.handled = False


def _take_and_handle(subject: Handled, taken: _Taken, halt: Stop, *, most: int) -> None:
    messages = services.take(subject.queue, max_messages=most)
    if not messages:
        return
    taken.chosen = services.begin_handling(messages)
    until = time.monotonic() + TAKE_SECONDS
    done: list[Message] = []
    failed = 0
    for message in taken.chosen:
        if done and (halt() or time.monotonic() > until):
            break
        if _handle_taken(message, subject.handler):
            done.append(message)
        else:
            failed += 1
    services.ack_taken(done)
    begun = {m.id for m in taken.chosen[: len(done) + failed]}
    services.let_go([m for m in messages if m.id not in begun])
    taken.handled = True


def _handle_taken(message: Message, handler: Handler) -> bool:
    session = sql.session(DEFAULT_DB_ALIAS)
    try:
        with transaction.atomic():  # a savepoint: the locks of the take outlive it
            services.reply_to(message, handler(message))
    except Exception as error:
        if session.closed:
            raise
        _log_failure(message, error)
        services.nack_taken(message, error=_say(error))
        return False
    return True


# Under a lease


def _drain_leases(subject: Handled, halt: Stop) -> bool:
    lease_seconds = max(selectors.locate_queue(subject.queue.name).lease_seconds, settings.MQSITE_MEMBER_SECONDS)
    while not halt():
        lease = services.receive(
            subject.queue, holder=workers.name(), max_messages=BATCH_MESSAGES, lease_seconds=lease_seconds
        )
        if lease is None:
            return False
        _work_through(lease, subject.handler, halt)
    return True


def _work_through(lease: Lease, handler: Handler, halt: Stop) -> None:
    """Handle the messages one by one. Whatever ends this early, the rest goes back at once."""
    waiting = list(lease.messages)
    _worked_on.add(lease.token)
    try:
        while waiting and not halt():
            _handle_leased(lease, waiting.pop(0), handler)
    except LeaseLost as lost:
        logger.info("%s", lost)
    finally:
        _worked_on.discard(lease.token)
        if waiting:
            services.give_back(lease.token, [message.id for message in waiting], queue=lease.queue)


def _handle_leased(lease: Lease, message: Message, handler: Handler) -> None:
    session = sql.session(DEFAULT_DB_ALIAS)
    try:
        services.reply_to(message, handler(message))
    except Exception as error:
        if session.closed:
            connections[DEFAULT_DB_ALIAS].close()  # so that the next statement opens another
            raise
        _log_failure(message, error)
        lost = services.nack(lease.token, [message.id], queue=message.queue, error=_say(error))
    else:
        lost = services.ack(lease.token, [message.id], queue=message.queue)
    if lost:
        raise LeaseLost(lost=lost, queue=message.queue)


def _log_failure(message: Message, error: Exception) -> None:
    logger.warning("%s failed on message %s, receive %s: %s", message.queue, message.id, message.receives, error)


def _say(error: Exception) -> str:
    return "".join(traceback.format_exception(error))
