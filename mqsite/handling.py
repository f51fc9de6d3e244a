"""The options of a handler, of both halves, and what of them cannot be."""

import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mqsite.errors import Invalid
from mqsite.retry import Retry

TRANSACTION, AT_LEAST_ONCE, AT_MOST_ONCE = DELIVERIES = ("transaction", "at_least_once", "at_most_once")

MAX_BATCH = 1_000  # records or messages that a handler gets at once
SHARED_CALLS = 100  # of a handler that takes one at a time, in one transaction
MOST_CONCURRENCY = 1_000
MOST_RATE = 1_000_000
MOST_SECONDS = 86_400.0

Handler = Callable[[Any], object]
Stop = Callable[[], bool]


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
    def is_limited(self) -> bool:
        return self.concurrency is not None or self.rate is not None

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


def _require_one_argument(handler: Handler) -> None:
    try:
        inspect.signature(handler).bind(None)
    except TypeError as error:
        raise Invalid(
            reason=f"{name_of(handler)} must take one argument, what it handles (batch: a list of it): {error}."
        ) from error
    except ValueError:
        return  # a builtin without a signature
