"""Calls the handlers in a test itself, by the loops that workers run, until nothing is left for them."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial, wraps
from typing import Any, NamedTuple, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection
from psycopg.pq import TransactionStatus

import logs.consumer
import logs.services
import queues.consumer
import queues.services
from logs import selectors as log_selectors
from logs.consumer.parked import retry_asked
from logs.errors import GroupNotFound
from logs.handlers import Reads, Subscription, subscriptions
from mqsite.activity import Watch
from mqsite.errors import MessagingError
from mqsite.handling import TRANSACTION, Handler, name_of
from mqsite.retry import RetryIn
from queues import selectors as queue_selectors
from queues.handlers import Handled, handled
from queues.models import Message

ENDLESS_ATTEMPTS = 10  # of a record whose handler would be tried for ever
MOST_LANES = 1_000  # partitions or queues of one round

S = TypeVar("S", Subscription, Handled)


class NeverEnds(MessagingError):
    """After {calls:,} records and messages that were handled or failed there is more to do: {left}. Do handlers keep
    each other busy? If so much is meant, allow it: run(most=...)."""

    code = "never_ends"


class Savepoint(NamedTuple):
    name: str
    callbacks: int  # that waited for the COMMIT before it


class Rehearsal:
    """Rounds over all there is to do, until one finds nothing, or after `most` calls."""

    def __init__(self, watch: Watch, *, raise_errors: bool, with_scheduled: bool, most: int) -> None:
        self._watch = watch
        self._raises = raise_errors
        self._with_scheduled = with_scheduled
        self._most = most

    def run(self) -> None:
        is_busy = True
        while is_busy:
            before = self._calls
            for work in self._find_work():
                work(self._halts)
                if error := self._find_error():
                    raise error
                if self._calls >= self._most and (left := say_left()):
                    raise NeverEnds(calls=self._calls, left="; ".join(left))
            is_busy = self._calls > before

    @property
    def _calls(self) -> int:
        return self._watch.handled + len(self._watch.failures)

    def _find_work(self) -> Iterator[Callable[[Callable[[], bool]], object]]:
        """One partition or queue after the other; the queues are looked for when the partitions are read."""
        logs.services.hurry_retries(_may_try)
        groups = sorted({each.group.name for each in subscriptions})
        for group, topic, number in sorted(log_selectors.find_behind(groups, limit=MOST_LANES)):
            if subscription := subscriptions.get(Reads(group, topic)):
                logs.consumer.require_own(subscription)
                yield partial(logs.consumer.hold_and_read, _adapt(subscription), number)
        for reads in log_selectors.find_asked(groups):
            if subscription := subscriptions.get(Reads(*reads)):
                yield partial(retry_asked, _adapt(subscription))
        queues.services.expire()
        queues.services.work_redrives()
        names = sorted(each.queue.name for each in handled)
        queues.services.hurry_retries(names, with_scheduled=self._with_scheduled)
        for name in sorted(queue_selectors.find_waiting(names, limit=MOST_LANES)):
            if subject := handled.get(name):
                yield partial(queues.consumer.handle_ready, _adapt(subject))

    def _halts(self) -> bool:
        return self._calls >= self._most or self._find_error() is not None

    def _find_error(self) -> Exception | None:
        if not self._raises:
            return None
        return next((each.error for each in self._watch.failures if not isinstance(each.error, RetryIn)), None)


def say_left() -> list[str]:
    """A clause for each topic and queue with something to do for a handler here."""
    left = []
    for each in subscriptions:
        name, topic, rows = each.group.name, each.topic, []
        with suppress(GroupNotFound):
            rows = [row for row in log_selectors.choose_partitions(name) if row.topic == topic]
        if unread := [row.number for row in rows if row.log_end > max(row.committed or 0, row.log_start)]:
            left.append(f"{name_of(each.handler)} has not read {topic} to the end, partitions {unread}")
    standing = Message.objects.exclude(state__in=(Message.State.DEAD, Message.State.STAGED))
    for subject in handled:
        if count := standing.filter(queue__name=subject.queue.name).count():
            left.append(f"{name_of(subject.handler)} has {count:,} messages in {subject.queue}")
    return left


def _may_try(group: str, topic: str, attempts: int) -> bool:
    subscription = subscriptions.get(Reads(group, topic))
    return subscription is not None and (subscription.retry.attempts is not None or attempts < ENDLESS_ATTEMPTS)


def _adapt(subject: S) -> S:
    """As it is, for one caller that waits for nobody."""
    options = replace(subject.options, concurrency=None, rate=None)
    handler = subject.handler if options.delivery == TRANSACTION else _guard(subject.handler)
    return replace(subject, handler=handler, options=options)


def _guard(handler: Handler) -> Handler:
    """In production it runs outside of a transaction, where what it did before an error stays. In the test's
    transaction an error of the database would end the test: then, and only then, its call is undone."""
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__):

        @wraps(handler)
        async def call_async(item: Any) -> object:
            # Both look the connection up in the test's thread: the event loop's has one of its own.
            savepoint = await sync_to_async(_begin_savepoint)()
            try:
                return await handler(item)  # type: ignore[misc]
            finally:
                await sync_to_async(_end_savepoint)(savepoint)

        return call_async

    @wraps(handler)
    def call(item: Any) -> object:
        savepoint = _begin_savepoint()
        try:
            return handler(item)
        finally:
            _end_savepoint(savepoint)

    return call


def _begin_savepoint() -> Savepoint | None:
    """None: not in a transaction. Not by atomic(): a handler may ask for one that is durable."""
    name: str | None = connection.savepoint()
    return None if name is None else Savepoint(name, len(connection.run_on_commit))


def _end_savepoint(savepoint: Savepoint | None) -> None:
    if savepoint is None:
        return
    if connection.needs_rollback or connection.connection.info.transaction_status == TransactionStatus.INERROR:
        connection.needs_rollback = False
        connection.savepoint_rollback(savepoint.name)
        del connection.run_on_commit[savepoint.callbacks :]
    connection.savepoint_commit(savepoint.name)
