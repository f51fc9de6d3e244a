"""What a delivery promises: when the offset is committed, and what becomes of a record that failed."""

import logging
from collections.abc import Callable
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from logs import services
from logs.errors import Fenced
from logs.handlers import PARK, Subscription
from logs.models import ParkedRecord
from logs.rows import Record
from logs.services import Assignment
from mqsite import activity, sql
from mqsite.calling import Ran, run
from mqsite.handling import AT_LEAST_ONCE, AT_MOST_ONCE, TRANSACTION, Stop, say_error
from mqsite.retry import Reject, Verdict

logger = logging.getLogger(__name__)

Reason = ParkedRecord.Reason


class Delivered(NamedTuple):
    """What became of a chunk of records."""

    passed: int  # the group is past so many of them
    goes_on: bool  # False: it is paused, or waits for another try
    is_failed: bool = False
    suspect: int | None = None  # the offset of the record that is to be tried alone


def deliver(assignment: Assignment, subscription: Subscription, chunk: list[Record], halt: Stop) -> Delivered:
    """Handle records from the group's position on, and commit. Fenced: nothing of this was committed."""
    return _WAYS[subscription.options.delivery](assignment, subscription, chunk, halt)


def _in_transaction(assignment: Assignment, subscription: Subscription, chunk: list[Record], halt: Stop) -> Delivered:
    session = sql.session(DEFAULT_DB_ALIAS)
    ran = Ran(0)
    try:
        with transaction.atomic():
            services.begin_batch(assignment)
            ran = run(subscription.handler, subscription.options, chunk, halt=halt)
            if ran.error is None:
                # Last: from here to COMMIT a reset waits for us; before it, we notice the reset.
                goes_on = services.commit_offset(assignment, chunk[ran.done - 1].offset + 1, count=ran.done)
            else:
                transaction.set_rollback(True)
    except Fenced:
        raise
    except Exception as error:
        if session.closed:
            raise  # not the handler's failure: the database went away
        ran = Ran(0, error, is_known=len(chunk) == 1)
    if ran.error is None:
        activity.note_handled(ran.done)
        return Delivered(ran.done, goes_on)
    if session.closed:
        raise ran.error
    if len(chunk) == 1:
        return _fail(assignment, subscription, chunk[0], ran.error)
    suspect = chunk[ran.done].offset if ran.is_known else None
    return Delivered(0, True, is_failed=True, suspect=suspect)


def _at_least_once(assignment: Assignment, subscription: Subscription, chunk: list[Record], halt: Stop) -> Delivered:
    session = sql.session(DEFAULT_DB_ALIAS)
    ran = run(subscription.handler, subscription.options, chunk, halt=halt)
    is_lost = ran.error is not None and session.closed
    if is_lost:
        connections[DEFAULT_DB_ALIAS].close()  # so that the next statement opens another
    goes_on = True
    if ran.done:
        goes_on = services.commit_offset(assignment, chunk[ran.done - 1].offset + 1, count=ran.done)
        activity.note_handled(ran.done)
    if is_lost and ran.error is not None:
        raise ran.error  # not the handler's failure: the database went away
    if ran.error is None or not goes_on:
        return Delivered(ran.done, goes_on)
    if not ran.is_known:
        return Delivered(0, True, is_failed=True)
    failed = _fail(assignment, subscription, chunk[ran.done], ran.error)
    return failed._replace(passed=ran.done + failed.passed)


def _at_most_once(assignment: Assignment, subscription: Subscription, chunk: list[Record], halt: Stop) -> Delivered:
    session = sql.session(DEFAULT_DB_ALIAS)
    goes_on = services.commit_offset(assignment, chunk[-1].offset + 1, count=len(chunk))
    ran = run(subscription.handler, subscription.options, chunk, halt=lambda: False)
    if ran.error is None:
        activity.note_handled(len(chunk))
        return Delivered(len(chunk), goes_on)
    if session.closed:
        connections[DEFAULT_DB_ALIAS].close()  # so that the next statement opens another
    for record in chunk:
        _log_failure(subscription, record, ran.error, "and is not tried again")
        if subscription.on_failure == PARK:
            services.park(assignment, record, reason=Reason.FAILED, error=say_error(ran.error), attempts=1)
    return Delivered(len(chunk), goes_on)


_Way = Callable[[Assignment, Subscription, list[Record], Stop], Delivered]
_WAYS: dict[str, _Way] = {
    TRANSACTION: _in_transaction,
    AT_LEAST_ONCE: _at_least_once,
    AT_MOST_ONCE: _at_most_once,
}


def _fail(assignment: Assignment, subscription: Subscription, record: Record, error: Exception) -> Delivered:
    """The record is parked, or it waits for another try and its partition with it."""
    attempts = 1 + (assignment.attempts if record.offset == assignment.position else 0)
    retry = subscription.retry
    verdict = retry.judge(error, attempts)
    seconds: float | None = verdict.seconds
    said = say_error(error)
    if verdict.is_last and subscription.on_failure == PARK:
        goes_on = _park(assignment, record, reason=name_reason(error, verdict), error=said, attempts=attempts)
        if goes_on is not None:
            _log_failure(subscription, record, error, "and is parked")
            return Delivered(1, goes_on)
        seconds = retry.max_seconds
        said = f"There is no room to park it: retry or drop some of what {assignment.group} has parked.\n{said}"
    elif verdict.is_last:  # for ever means for ever: who waits for a release that helps waits long, not in vain
        seconds = retry.max_seconds if retry.attempts is None else None
    _log_failure(subscription, record, error, "blocked" if seconds is None else f"next try in {seconds:.0f} s")
    services.record_failure(assignment, record.offset, error=said, retry_seconds=seconds)
    return Delivered(0, False)


def _park(assignment: Assignment, record: Record, *, reason: Reason, error: str, attempts: int) -> bool | None:
    """Whether the group may go on; None: there is no room."""
    with transaction.atomic():
        services.begin_batch(assignment)
        if not services.park(assignment, record, reason=reason, error=error, attempts=attempts):
            return None
        return services.commit_offset(assignment, record.offset + 1)


def name_reason(error: Exception, verdict: Verdict) -> Reason:
    if isinstance(error, Reject):
        return Reason.REJECTED
    return Reason.PERMANENT if verdict.is_hopeless else Reason.ATTEMPTS


def _log_failure(subscription: Subscription, record: Record, error: Exception, what: str) -> None:
    group = subscription.group
    said = f"{group} on {record.cause_id}: {error!r}"
    activity.note_failure(said, activity.Failure(record, error), owner=group.owner)
    logger.warning("%s failed on %s, %s: %s", group, record.cause_id, what, error)
