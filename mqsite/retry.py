"""When a handler failed: whether it is tried again, and when."""

import random
from dataclasses import dataclass
from typing import NamedTuple, cast

from mqsite.errors import Invalid, MessagingError

MOST_SECONDS = 366 * 86_400.0  # of one wait
MOST_ATTEMPTS = 32_000
MOST_DOUBLINGS = 1_000


class RetryIn(Exception):
    """Raised by a handler: not now, try again in so many seconds. It counts as an attempt."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS:
            raise Invalid(reason=f"RetryIn takes 0 to {MOST_SECONDS:,.0f} seconds, not {seconds!r}.")
        self.seconds = float(seconds)
        super().__init__(reason or f"The handler asked to be called again in {seconds:g} s.")


class Reject(Exception):
    """Raised by a handler: there is no use in trying again. A message dies, a record is parked."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "The handler rejected it.")


class Verdict(NamedTuple):
    """What follows a failure."""

    seconds: float  # until the next attempt
    is_hopeless: bool  # it was rejected, or its error is permanent: no attempt can help
    is_last: bool  # no further attempt is allowed


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a handler is tried, and how long to wait in between.

    `attempts`: calls in all, the first one included; None: as many as it takes (a queue: its max_receives).
    The waits are initial_seconds, then `factor` times the last one, at most max_seconds; the share `jitter` of
    each is left to chance. An error of the classes `permanent`, and a MessagingError that says so itself, is
    not tried again.
    """

    attempts: int | None = None
    initial_seconds: float = 1.0
    factor: float = 2.0
    max_seconds: float = 300.0
    jitter: float = 0.2
    permanent: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        if self.attempts is not None:
            _require("attempts", self.attempts, 1, MOST_ATTEMPTS, whole=True)
        _require("initial_seconds", self.initial_seconds, 0, MOST_SECONDS)
        _require("factor", self.factor, 1, 1_000)
        _require("max_seconds", self.max_seconds, self.initial_seconds, MOST_SECONDS)
        _require("jitter", self.jitter, 0, 1)
        classes = self.permanent if isinstance(self.permanent, tuple) else (self.permanent,)
        if not all(isinstance(each, type) and issubclass(each, Exception) for each in classes):
            raise Invalid(reason=f"Retry: permanent is {self.permanent!r}; allowed is a tuple of Exception classes.")
        object.__setattr__(self, "permanent", classes)

    def judge(self, error: Exception, attempts: int) -> Verdict:
        """After `attempts` calls, of which the last raised `error`."""
        is_hopeless = self.is_permanent(error)
        is_last = is_hopeless or (self.attempts is not None and attempts >= self.attempts)
        seconds = error.seconds if isinstance(error, RetryIn) else self.wait_seconds(attempts)
        return Verdict(seconds, is_hopeless, is_last)

    def is_permanent(self, error: Exception) -> bool:
        if isinstance(error, RetryIn):
            return False
        own = isinstance(error, MessagingError) and error.permanent
        return own or isinstance(error, (Reject, *self.permanent))

    def wait_seconds(self, attempts: int) -> float:
        """Seconds to wait after so many attempts."""
        growth = min(max(attempts, 1) - 1, MOST_DOUBLINGS)
        try:
            seconds = min(self.max_seconds, self.initial_seconds * self.factor**growth)
        except OverflowError:
            seconds = self.max_seconds
        return float(seconds * random.uniform(1 - self.jitter, 1))


def _require(name: str, value: object, least: float, most: float, *, whole: bool = False) -> None:
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not is_number or not least <= cast(float, value) <= most:
        number = "a whole number" if whole else "a number"
        raise Invalid(reason=f"Retry: {name} is {value!r}; allowed is {number} from {least:g} to {most:,g}.")
