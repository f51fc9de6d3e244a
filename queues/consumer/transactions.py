"""Take, handlers and ack in one transaction; or, at most once, take and ack in one and the handlers after it."""

import time
from collections import deque

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from mqsite import activity, limits, sql
from mqsite.calling import SHARED_SECONDS, Ran, run
from mqsite.handling import Stop, say_error
from queues import services
from queues.consumer.failures import judge, note_failure, split
from queues.handlers import Handled
from queues.rows import Message


def drain(subject: Handled, halt: Stop) -> bool:
    try:
        return _drain(subject, halt)
    finally:
        services.end_handling()


def drain_at_most_once(subject: Handled, halt: Stop) -> bool:
    """The acknowledgement is on disk before a handler starts: what fails then, or dies with its worker, is lost."""
    session = sql.session(DEFAULT_DB_ALIAS)
    while not halt():
        granted = limits.take_tokens(subject.limit_name, subject.options.rate, subject.options.most, halt=halt)
        if not granted:
            return halt()
        with transaction.atomic():
            messages = services.take(subject.queue, max_messages=granted)
            services.ack_taken(messages)
        limits.give_back_tokens(subject.limit_name, subject.options.rate, granted - len(messages))
        if not messages:
            return False
        ran = run(subject.call, subject.options, messages, halt=lambda: False)
        if ran.error is None:
            activity.note_handled(len(messages))
            continue
        for message in messages:
            note_failure(subject, message, ran.error)
        if session.closed:
            connections[DEFAULT_DB_ALIAS].close()  # so that the next statement opens another
            raise ran.error
    return True


def _drain(subject: Handled, halt: Stop) -> bool:
    one_by_one = 0  # after a commit that failed: whose fault it was, each alone will show
    fewer = 0  # the next one is received before: it is handled alone, and nothing behind it is held meanwhile
    while not halt():
        most = 1 if one_by_one else fewer or subject.options.most
        fewer = 0
        granted = limits.take_tokens(subject.limit_name, subject.options.rate, most, halt=halt)
        if not granted:
            return halt()
        taken = _Taken()
        session = sql.session(DEFAULT_DB_ALIAS)
        try:
            with transaction.atomic():
                _take_and_handle(subject, taken, halt, most=granted)
            activity.note_handled(taken.done)
        except services.HeldMore as held:
            fewer = held.max_messages
            limits.give_back_tokens(subject.limit_name, subject.options.rate, granted)
            continue
        except Exception as error:
            if session.closed or not taken.is_handled:
                raise  # not a handler's failure: the database went away, or the queue
            one_by_one = len(taken.chosen)
            services.let_go(taken.chosen)
            if one_by_one == 1:
                _fail_again(subject, taken.chosen[0], error)
        limits.give_back_tokens(subject.limit_name, subject.options.rate, granted - taken.begun)
        if not taken.chosen:
            return False
        one_by_one = max(0, one_by_one - 1)
    return True


class _Taken:
    """What a transaction took to handle, and whether it got as far as its commit."""

    def __init__(self) -> None:
        self.chosen: list[Message] = []
        self.begun = self.done = 0
        self.is_handled = False


def _take_and_handle(subject: Handled, taken: _Taken, halt: Stop, *, most: int) -> None:
    messages = services.take(subject.queue, max_messages=most, strictly=True)
    if not messages:
        return
    taken.chosen = services.begin_handling(messages)
    done, failed = _handle(subject, taken.chosen, halt)
    services.ack_taken(done)
    begun = {m.id for m in (*done, *failed)}
    services.let_go([m for m in messages if m.id not in begun])
    taken.begun, taken.done = len(begun), len(done)
    taken.is_handled = True


def _handle(subject: Handled, messages: list[Message], halt: Stop) -> tuple[list[Message], list[Message]]:
    """Who is done and who failed; the others nobody came to. All share a savepoint; a failure undoes it, and they are
    handled again in parts until the one that fails is alone: the locks of the take outlive that."""
    until = time.monotonic() + SHARED_SECONDS
    done: list[Message] = []
    failed: list[Message] = []
    parts = deque([messages])
    while parts and not ((done or failed) and (halt() or time.monotonic() > until)):
        part = parts.popleft()
        ran = _run_in_savepoint(subject, part, halt)
        if ran.error is None:
            done += part[: ran.done]
            if ran.done < len(part):
                break
        elif len(part) > 1:
            parts.extendleft(reversed(split(part, ran)))
        else:
            _settle(subject, part[0], ran.error)
            failed += part
    return done, failed


def _run_in_savepoint(subject: Handled, messages: list[Message], halt: Stop) -> Ran:
    session = sql.session(DEFAULT_DB_ALIAS)
    savepoint = sql.Savepoint(DEFAULT_DB_ALIAS)
    try:
        ran = run(subject.call, subject.options, messages, halt=halt)
        if ran.error is None:
            sql.require_sound(DEFAULT_DB_ALIAS)
            savepoint.release()
    except Exception as error:
        ran = Ran(0, error)
    if ran.error is not None:
        if session.closed:
            raise ran.error
        savepoint.take_back()
    return ran


def _settle(subject: Handled, message: Message, error: Exception) -> None:
    note_failure(subject, message, error)
    fate = judge(subject, message, error)
    if fate.is_dead:
        services.reject_taken(message, error=say_error(error))
    else:
        services.nack_taken(
            message, delay_seconds=fate.delay_seconds, max_receives=fate.max_receives, error=say_error(error)
        )


def _fail_again(subject: Handled, message: Message, error: Exception) -> None:
    """Its own transaction could not be committed."""
    with transaction.atomic():
        if services.take_again(message):
            _settle(subject, message, error)
