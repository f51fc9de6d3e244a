"""What both halves need of a handler: its options, and how it is called."""

import asyncio
import inspect
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from asgiref.sync import async_to_sync

from mqsite import tracing
from mqsite.errors import Invalid, MessagingError
from mqsite.retry import Retry
from mqsite.tracing import Traced

TRANSACTION, AT_LEAST_ONCE, AT_MOST_ONCE = DELIVERIES = ("transaction", "at_least_once", "at_most_once")

MAX_BATCH = 1_000  # records or messages that a handler gets at once
SHARED_CALLS = 100  # calls of a handler that takes one at a time, in one transaction
SHARED_SECONDS = 1.0  # or so long, whichever is first
SETTLE_SECONDS = 0.1  # at least once: what was done in this time a crash may repeat
MOST_CONCURRENCY = 1_000
MOST_RATE = 1_000_000
MOST_SECONDS = 86_400.0

Handler = Callable[[Any], object]
Stop = Callable[[], bool]
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


@dataclass(frozen=True, slots=True)
class Options:
    """How a handler wants to be called. `read_options` checks them."""

    delivery: str = TRANSACTION
    batch: int | None = None  # None: one at a time
    retry: Retry | None = None
    concurrency: int | None = None  # calls at the same time, over all workers
    rate: float | None = None  # records or messages a second, over all workers
    seconds: float | None = None  # of one call

    @property
    def most(self) -> int:
        """How many are worth having at once."""
        if self.batch:
            return self.batch
        return 1 if self.delivery == AT_MOST_ONCE else SHARED_CALLS


def read_options(
    handler: Handler,
    *,
    delivery: str,
    batch: bool | int,
    retry: Retry | None,
    concurrency: int | None,
    rate: float | None,
    seconds: float | None,
) -> Options:
    """The options, or a refusal that says what to change."""
    name = name_of(handler)
    if delivery not in DELIVERIES:
        raise Invalid(reason=f"{name}: delivery is {delivery!r}; allowed are {', '.join(DELIVERIES)}.")
    if retry is not None and not isinstance(retry, Retry):
        raise Invalid(reason=f"{name}: retry is {retry!r}; allowed is a mqsite.retry.Retry.")
    if retry is not None and delivery == AT_MOST_ONCE:
        raise Invalid(reason=f"{name}: at_most_once never calls twice. Leave retry out, or choose another delivery.")
    _require_one_argument(handler)
    size = MAX_BATCH if batch is True else batch or None
    for field, value, most, kinds in (
        ("batch", size, MAX_BATCH, (int,)),
        ("concurrency", concurrency, MOST_CONCURRENCY, (int,)),
        ("rate", rate, MOST_RATE, (int, float)),
        ("seconds", seconds, MOST_SECONDS, (int, float)),
    ):
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value <= most):
            number = "whole numbers" if kinds == (int,) else "numbers above 0"
            raise Invalid(reason=f"{name}: {field} is {value!r}; allowed are {number} up to {most:,g}.")
    return Options(delivery, size, retry, concurrency, rate, seconds)


def name_of(handler: Handler) -> str:
    """`examples.flights.consumers.update_board`."""
    return f"{getattr(handler, '__module__', '?')}.{getattr(handler, '__qualname__', repr(handler))}"


def say_error(error: Exception) -> str:
    """As it is kept: the traceback, with the error at its end."""
    return "".join(traceback.format_exception(error))


def run(handler: Handler, options: Options, items: Sequence[T], *, halt: Stop) -> Ran:
    """Call the handler with the items, one by one or all at once, until one fails, or SHARED_SECONDS (SETTLE_SECONDS
    with at_least_once) have passed, or `halt` says so: at least one is handled."""
    until = time.monotonic() + (SETTLE_SECONDS if options.delivery == AT_LEAST_ONCE else SHARED_SECONDS)
    if inspect.iscoroutinefunction(handler):
        return async_to_sync(_run_async)(handler, options, items, until, halt)
    return _run(handler, options, items, until, halt)


def _run(handler: Handler, options: Options, items: Sequence[T], until: float, halt: Stop) -> Ran:
    if options.batch:
        try:
            with tracing.caused_by(*items), _time_limit(handler, options.seconds):
                handler(list(items))
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
                call(item)
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
    def call(item: Any) -> None:
        with _time_limit(handler, seconds):
            handler(item)

    return call


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
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)


def _require_one_argument(handler: Handler) -> None:
    try:
        inspect.signature(handler).bind(None)
    except TypeError as error:
        raise Invalid(
            reason=f"{name_of(handler)} must take one argument, what it handles (batch: a list of it): {error}."
        ) from error
    except ValueError:
        return  # a builtin without a signature
