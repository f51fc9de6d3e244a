"""Calls a handler: plain or async, one by one or with a batch, within its time limit, as the cause of what it sends."""

import asyncio
import inspect
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from asgiref.sync import async_to_sync

from mqsite import tracing
from mqsite.errors import Invalid, MessagingError
from mqsite.handling import AT_LEAST_ONCE, Handler, Options, Stop, name_of
from mqsite.tracing import Traced

SHARED_SECONDS = 1.0  # calls that share a transaction: so long, or SHARED_CALLS, whichever is first
SETTLE_SECONDS = 0.1  # at least once: what was done in this time a crash may repeat

T = TypeVar("T", bound=Traced)


class TimeLimitExceeded(MessagingError):
    """The handler {name} took longer than its {seconds:g} seconds."""

    code = "time_limit_exceeded"
    permanent = False


class Ran(NamedTuple):
    """How many were handled, and what ended it early; `is_known`: the next one raised the error."""

    done: int
    error: Exception | None = None
    is_known: bool = False


def run(handler: Handler, options: Options, items: Sequence[T], *, halt: Stop) -> Ran:
    """Call the handler with the items, one by one or all at once, until one fails, or SHARED_SECONDS (SETTLE_SECONDS
    with at_least_once) have passed, or `halt` says so: at least one is handled."""
    until = time.monotonic() + (SETTLE_SECONDS if options.delivery == AT_LEAST_ONCE else SHARED_SECONDS)
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__):
        return async_to_sync(_run_async)(handler, options, items, until, halt)
    return _run(handler, options, items, until, halt)


def _run(handler: Handler, options: Options, items: Sequence[T], until: float, halt: Stop) -> Ran:
    if options.batch:
        try:
            with tracing.caused_by(*items), _time_limit(handler, options.seconds):
                _require_done(handler, handler(list(items)))
        except Exception as error:
            return Ran(0, error, is_known=len(items) == 1)
        return Ran(len(items))
    call = handler if options.seconds is None else _limited(handler, options.seconds)
    with tracing.scope() as cause:
        for done, item in enumerate(items):
            if done and (time.monotonic() > until or halt()):
                return Ran(done)
            cause.set((item,))
            try:
                result = call(item)
                if result is not None:
                    _require_done(handler, result)
            except Exception as error:
                return Ran(done, error, is_known=True)
    return Ran(len(items))


async def _run_async(handler: Any, options: Options, items: Sequence[T], until: float, halt: Stop) -> Ran:
    """One event loop for all of the items. What the handler does with the database through Django's async ORM
    runs in the thread that called, so on its connection and in its transaction."""
    calls: list[Sequence[T]] = [items] if options.batch else [[item] for item in items]
    done = 0
    with tracing.scope() as cause:
        for call in calls:
            if done and (time.monotonic() > until or halt()):
                return Ran(done)
            cause.set(tuple(call))
            try:
                await _await(handler, list(call) if options.batch else call[0], options.seconds)
            except Exception as error:
                return Ran(done, error, is_known=len(call) == 1)
            done += len(call)
    return Ran(done)


async def _await(handler: Any, argument: object, seconds: float | None) -> None:
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            await handler(argument)
    except TimeoutError as error:
        if scope.expired():
            raise TimeLimitExceeded(name=name_of(handler), seconds=seconds) from error
        raise


def _limited(handler: Handler, seconds: float) -> Handler:
    def call(item: Any) -> object:
        with _time_limit(handler, seconds):
            return handler(item)

    return call


def _require_done(handler: Handler, result: object) -> None:
    """What only promises to do the work must not be taken for it."""
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()
        raise Invalid(
            reason=f"{name_of(handler)} returned a {type(result).__name__}, which nobody ran. Use def or async def."
        )


class _TimeUp(KeyboardInterrupt):
    """Passes `except Exception` in handlers; psycopg cancels its statement for it and keeps the connection."""


@contextmanager
def _time_limit(handler: Handler, seconds: float | None) -> Iterator[None]:
    """In the main thread the call is interrupted; in others it is found out, and failed, when it returns."""
    if seconds is None:
        yield
        return
    started = time.monotonic()
    try:
        with _alarm(seconds):
            yield
    except _TimeUp as up:
        raise TimeLimitExceeded(name=name_of(handler), seconds=seconds) from up
    if time.monotonic() - started > seconds:
        raise TimeLimitExceeded(name=name_of(handler), seconds=seconds)


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_armed = True

    def ring(number: int, frame: FrameType | None) -> None:
        if is_armed:
            raise _TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    started = time.monotonic()
    others_seconds, others_interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
        if others_seconds:  # somebody else's alarm goes on; one that was due meanwhile rings now
            left = max(0.001, others_seconds - (time.monotonic() - started))
            signal.setitimer(signal.ITIMER_REAL, left, others_interval)
