"""Parked records that somebody asked to try again: for this group alone, one at a time, dropped on success."""

import logging

from django.db import DEFAULT_DB_ALIAS, transaction

from logs import services
from logs.consumer.delivering import name_reason
from logs.handlers import Subscription
from logs.rows import Record
from mqsite import activity, limits, sql
from mqsite.calling import Ran, run
from mqsite.handling import TRANSACTION, Stop, say_error

logger = logging.getLogger(__name__)


def retry_asked(subscription: Subscription, stop: Stop) -> int:
    """Call the handler with what it parked; how many records that was."""
    tried, last = 0, 0
    while not stop():
        if not limits.take_tokens(subscription.limit_name, subscription.options.rate, 1, halt=stop):
            break
        taken = _try_next(subscription, last)
        if taken is None:
            break
        tried, last = tried + 1, taken
    return tried


def _try_next(subscription: Subscription, after: int) -> int | None:
    """The id of the record that was tried; None: nothing is left."""
    session = sql.session(DEFAULT_DB_ALIAS)
    in_transaction = subscription.options.delivery == TRANSACTION
    ran, id_ = Ran(0), after
    try:
        with transaction.atomic():
            taken = services.take_parked(subscription.group.name, subscription.topic, after=after)
            if taken is None:
                return None
            id_, record = taken
            if in_transaction:
                ran = _run(subscription, record)
                services.end_parked(id_)
                transaction.set_rollback(ran.error is not None)
            else:
                services.begin_parked(id_)
        if not in_transaction:
            ran = _run(subscription, record)
            if ran.error is None:
                services.end_parked(id_)
    except Exception as error:
        if session.closed or id_ == after:
            raise
        ran = Ran(0, error)
    if ran.error is not None:
        if session.closed:
            raise ran.error
        logger.warning("%s failed again on the parked %s: %s", subscription.group, record.cause_id, ran.error)
        reason = name_reason(ran.error, subscription.retry.judge(ran.error, 1))
        services.fail_parked(id_, reason=reason, error=say_error(ran.error))
    return id_


def _run(subscription: Subscription, record: Record) -> Ran:
    ran = run(subscription.handler, subscription.options, [record], halt=lambda: False)
    if ran.error is None:
        activity.note_handled(1)
    else:
        group = subscription.group
        said = f"{group} on {record.cause_id}: {ran.error!r}"
        activity.note_failure(said, activity.Failure(record, ran.error), owner=group.owner)
    return ran
