"""What an application declares of the clock: commands sent on a crontab schedule, one for each tick.

Tick: a time that the crontab names, the same for every process that computes it.
"""

import hashlib
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from mqsite.boundaries import require_name
from mqsite.errors import Invalid
from mqsite.payloads import Headers, encode
from mqsite.registry import Registry
from queues.declarations import Queue

SKIP, CATCH_UP = MISSED = ("skip", "catch_up")
GRACE_SECONDS = 300.0
MOST_GRACE_SECONDS = 366 * 86_400.0
FIELDS = 5  # minute hour day-of-month month day-of-week

periodics: Registry[str, "Periodic"] = Registry("Periodic")


@dataclass(frozen=True, slots=True)
class Periodic:
    """A message for a queue at every tick of a crontab schedule, however many workers run.

    `Periodic("nightly-close", BOOKINGS, "0 3 * * *", payload={"kind": "close"}, timezone="Europe/Berlin")`

    `missed` says what becomes of ticks that came while no worker ran: "skip" sends the newest if it is at most
    `grace_seconds` old, "catch_up" sends each. The others are those of a NewMessage. `sender`: None is the owner.
    """

    name: str
    queue: Queue
    crontab: str
    payload: Any = field(default=None, hash=False)
    missed: str = SKIP
    timezone: str = "UTC"
    grace_seconds: float = GRACE_SECONDS
    headers: Headers = field(default=(), hash=False)
    group_key: str | None = None
    priority: int = 0
    ttl_seconds: float | None = None
    sender: str | None = None

    def __post_init__(self) -> None:
        require_name(self.name, "periodic command")
        said = f"Periodic {self.name}"
        if not isinstance(self.queue, Queue):
            raise Invalid(reason=f"{said}: queue is {self.queue!r}; it takes a declared Queue.")
        if self.missed not in MISSED:
            raise Invalid(reason=f"{said}: missed is {self.missed!r}; allowed are {', '.join(MISSED)}.")
        grace = self.grace_seconds if isinstance(self.grace_seconds, int | float) else math.nan
        if not 0 <= grace <= MOST_GRACE_SECONDS:
            raise Invalid(
                reason=f"{said}: grace_seconds is {self.grace_seconds!r}; allowed are 0 to {MOST_GRACE_SECONDS:,.0f}."
            )
        _require_timezone(said, self.timezone)
        _require_crontab(said, self.crontab)
        periodics.add(self.name, self)

    @property
    def revision(self) -> str:
        """The same in all processes that declare the same."""
        clock = (self.crontab, self.timezone, self.missed, float(self.grace_seconds))
        sent = (str(self.queue), encode(self.payload), list(map(tuple, self.headers)), self.group_key, self.priority)
        told = (clock, sent, self.ttl_seconds, self.sender)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    def find_next(self, after: datetime) -> datetime | None:
        """The first tick after a time; None: the crontab names none in the next 50 years."""
        return next(self._ticks(after), None)

    def find_newest(self, since: datetime, until: datetime, *, most: int) -> list[datetime]:
        """The last `most` ticks from `since` on up to `until`, the oldest first."""
        since -= timedelta(microseconds=1)
        span = timedelta(hours=1)
        while True:  # backwards in growing spans: from a minute's tick a year ago on there are half a million
            start = max(since, until - span)
            newest: deque[datetime] = deque(maxlen=most)
            for tick in self._ticks(start):
                if tick > until:
                    break
                newest.append(tick)
            if len(newest) == most or start == since:
                return list(newest)
            span *= 8

    def _ticks(self, after: datetime) -> Iterator[datetime]:
        # Where an hour comes twice, CronSim may begin with a tick of the first, which is past.
        found = (tick.astimezone(UTC) for tick in CronSim(self.crontab, after.astimezone(ZoneInfo(self.timezone))))
        return (tick for tick in found if tick > after)

    def __str__(self) -> str:
        return self.name


def handled_name(name: str, revision: str) -> str:
    """What the heartbeat of a process that declares it tells the others."""
    return f"periodic:{name}@{revision}"


def handled_names() -> list[str]:
    return [handled_name(each.name, each.revision) for each in periodics]


def _require_timezone(said: str, timezone: str) -> None:
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise Invalid(
            reason=f"{said}: timezone is {timezone!r}; it takes a name of the tz database such as Europe/Berlin."
        ) from error


def _require_crontab(said: str, crontab: str) -> None:
    try:
        if len(crontab.split()) != FIELDS:
            raise CronSimError(f"it has {FIELDS} fields: minute hour day-of-month month day-of-week")
        next(CronSim(crontab, datetime.now(UTC)))  # noqa: TID251 - any time would do
    except AttributeError as error:
        raise Invalid(reason=f"{said}: crontab is {crontab!r}; it takes text such as '0 3 * * *'.") from error
    except (CronSimError, StopIteration) as error:
        why = str(error) or "it names no time in the next 50 years"
        raise Invalid(reason=f"{said}: crontab is {crontab!r}: {why}. One is '0 3 * * *'.") from error
