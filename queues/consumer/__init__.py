"""The loop: receive, handler, ack."""

import logging
import time
from collections.abc import Iterable

from django.conf import settings

from mqsite import activity, limits, workers
from mqsite.errors import MessagingError
from mqsite.handling import AT_LEAST_ONCE, AT_MOST_ONCE, TRANSACTION, Stop
from queues import selectors, services
from queues.consumer import leases, transactions
from queues.handlers import Handled, handled

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0  # then the next in line gets the worker
SWEEP_QUEUES = 1_000

_WAYS = {
    TRANSACTION: transactions.drain,
    AT_LEAST_ONCE: leases.drain,
    AT_MOST_ONCE: transactions.drain_at_most_once,
}
_left_alone: set[str] = set()


def drain(queue: str, *, stop: Stop) -> bool:
    """Handle what is ready until nothing is, or for DRAIN_SECONDS; whether more may be left to do."""
    subject = handled.get(queue)
    if subject is None:
        _leave_alone(queue)
        return False
    deadline = time.monotonic() + DRAIN_SECONDS

    def halt() -> bool:
        return stop() or time.monotonic() > deadline

    with limits.slot(subject.limit_name, subject.options.concurrency) as is_free, activity.working_on(queue):
        return is_free and handle_ready(subject, halt)


def handle_ready(subject: Handled, halt: Stop) -> bool:
    """Handle what is ready, as the handler's delivery has it; whether it was halted before the end."""
    return _WAYS[subject.options.delivery](subject, halt)


def sweep(*, stop: Stop) -> int:
    """End what expired, promote what is due, drain what no wake-up announced; how many queues that was."""
    services.run_upkeep()
    return drain_waiting([subject.queue.name for subject in handled], stop=stop)


def drain_waiting(queues: Iterable[str], *, stop: Stop) -> int:
    """Drain those of the queues that have something to receive; how many they are."""
    found = selectors.find_waiting(sorted(queues), limit=SWEEP_QUEUES)
    for queue in found:
        if stop():
            break
        _drain_quietly(queue, stop)
    return len(found)


def beat() -> int:
    """The heartbeat: keep what this process works on, however slow its handlers are; how many leases that is.

    And give back what dead workers held, and send what the clock asks for: a sweep may be busy with handlers for
    longer than that may take.
    """
    services.keep_handling()
    kept = services.renew_leases(
        workers.name(), tokens=leases.worked_on(), lease_seconds=settings.MQSITE_MEMBER_SECONDS
    )
    services.reap()
    services.charge()
    services.send_ticks()
    return kept


def _drain_quietly(queue: str, stop: Stop) -> None:
    try:
        drain(queue, stop=stop)
    except MessagingError as refusal:  # deleted, or of another owner: the other queues go on
        logger.warning("%s was not swept: %s", queue, refusal)


def _leave_alone(queue: str) -> None:
    if queue not in _left_alone:
        _left_alone.add(queue)
        logger.warning("No handler here handles %s; left to other workers.", queue)
