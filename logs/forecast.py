"""Where a lag is heading. Pure: points in, a rate and words out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import median
from typing import Any, NamedTuple

from mqsite.words import say_wait

TREND_SECONDS = 600.0  # older samples say nothing about where it is heading
LEAST_SECONDS = 30.0  # between the first point and the last, or nothing is said
LEAST_GAP_SECONDS = 1.0  # between two points that make a rate
CLEAR_SHARE = 0.75  # of all pairs of points must go one way, or it is called steady

Trend = dict[str, Any]


class Point(NamedTuple):
    at: float  # in seconds, of any clock
    lag: int


def foretell(points: Sequence[Point]) -> Trend | None:
    """`{"records_per_second", "caught_up_in_seconds", "says"}`; None from fewer than two points or too short a time.

    A negative rate is a falling lag. The rate is the median over all pairs of points, so that one leap does not
    bend it.
    """
    ordered = sorted(points)
    if len(ordered) < 2 or ordered[-1].at - ordered[0].at < LEAST_SECONDS:
        return None
    rates = [(b.lag - a.lag) / (b.at - a.at) for a, b in combinations(ordered, 2) if b.at - a.at >= LEAST_GAP_SECONDS]
    rate, lag = median(rates), ordered[-1].lag
    seconds: float | None = None
    says = "steady"
    if not lag:
        seconds, says = 0.0, "caught up"
    elif rate < 0 and sum(r < 0 for r in rates) >= CLEAR_SHARE * len(rates):
        seconds = lag / -rate
        says = f"at this rate caught up in {say_wait(max(1.0, seconds))}"
    elif rate > 0 and sum(r > 0 for r in rates) >= CLEAR_SHARE * len(rates):
        says = "at this rate never"
    return {"records_per_second": rate, "caught_up_in_seconds": seconds, "says": says}


def foretell_topics(
    samples: Iterable[tuple[str, float, int]], present: Mapping[str, int], *, at: float
) -> tuple[dict[str, Trend | None], Trend | None]:
    """The trend of each topic and that of all together, from samples (topic, time in seconds, lag) and the lags at
    `at`. A time at which not every topic was sampled says nothing about the sum."""
    times: dict[float, dict[str, int]] = defaultdict(dict)
    for topic, time, lag in samples:
        if topic in present:
            times[time][topic] = lag
    times[at] = dict(present)
    trends = {
        topic: foretell([Point(time, lags[topic]) for time, lags in times.items() if topic in lags])
        for topic in present
    }
    sums = [Point(time, sum(lags.values())) for time, lags in times.items() if len(lags) == len(present)]
    return trends, foretell(sums) if present else None
