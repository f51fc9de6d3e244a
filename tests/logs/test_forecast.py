"""Where a lag is heading: from points to a rate and a sentence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.forecast import Point, foretell, foretell_topics

lags = st.integers(0, 2**62)


def line(*lags: int, every: float = 60.0) -> list[Point]:
    return [Point(n * every, lag) for n, lag in enumerate(lags)]


@pytest.mark.parametrize(
    ("points", "rate", "seconds", "says"),
    [
        (line(600, 540), -1.0, 540.0, "at this rate caught up in 9 min"),
        (line(100, 10, every=30), -3.0, 10 / 3, "at this rate caught up in 3 s"),
        (line(10**9, 10**9 - 60), -1.0, 10**9 - 60, "at this rate caught up in 11,574 d"),
        (line(60, 1, every=59), -1.0, 1.0, "at this rate caught up in 1 s"),
        (line(0, 60), 1.0, None, "at this rate never"),
        (line(500, 500, 500), 0.0, None, "steady"),
        (line(60, 0), -1.0, 0.0, "caught up"),
        (line(0, 0), 0.0, 0.0, "caught up"),
    ],
)
def test_it_says_when_it_will_be_caught_up(points: list[Point], rate: float, seconds: float | None, says: str) -> None:
    assert foretell(points) == {"records_per_second": rate, "caught_up_in_seconds": seconds, "says": says}


@pytest.mark.parametrize("points", [[], line(5), line(9, 5, every=29.9), line(9, 8, 7, every=10)])
def test_of_too_little_it_says_nothing(points: list[Point]) -> None:
    assert foretell(points) is None


def test_what_goes_up_and_down_is_steady() -> None:
    trend = foretell(line(30, 2, 41, 7, 35, 1, 38))
    assert trend
    assert (trend["says"], trend["caught_up_in_seconds"]) == ("steady", None)


def test_one_leap_does_not_bend_the_rate() -> None:
    trend = foretell(line(1000, 940, 880, 820, 760, 50_000, 640, 580))
    assert trend
    assert trend["records_per_second"] == -1.0


def test_two_points_of_one_time_are_no_rate() -> None:
    trend = foretell([Point(0.0, 100), Point(60.0, 40), Point(60.0, 40)])
    assert trend
    assert trend["records_per_second"] == -1.0


@given(start=st.integers(1, 10**12), step=st.integers(-(10**9), 10**9), count=st.integers(2, 12))
def test_on_a_line_the_rate_is_its_slope_and_the_forecast_is_where_it_ends(start: int, step: int, count: int) -> None:
    points = [p for p in line(*(start + n * step for n in range(count))) if p.lag > 0]
    if len(points) < 2:
        return
    trend = foretell(points)
    assert trend
    assert math.isclose(trend["records_per_second"], step / 60)
    if step < 0:
        assert math.isclose(trend["caught_up_in_seconds"], points[-1].lag / (-step / 60))
    else:
        assert (trend["caught_up_in_seconds"], trend["says"]) == (None, "at this rate never" if step else "steady")


@given(st.lists(st.builds(Point, st.floats(0, 2e9), lags), min_size=2, max_size=12).flatmap(st.permutations))
def test_whatever_the_points_it_says_one_thing_that_fits(points: list[Point]) -> None:
    trend = foretell(points)
    assert trend == foretell(sorted(points))
    if trend is None:
        assert max(p.at for p in points) - min(p.at for p in points) < 30
        return
    last, rate, seconds = max(points).lag, trend["records_per_second"], trend["caught_up_in_seconds"]
    assert (seconds == 0.0) == (trend["says"] == "caught up") == (last == 0)
    assert (seconds or 0.0) >= 0.0
    if trend["says"] == "at this rate never":
        assert rate > 0
    if seconds:
        assert rate < 0
        assert math.isclose(seconds * -rate, last)


@given(st.lists(lags, min_size=3, max_size=12, unique=True))
def test_what_only_grows_is_never_caught_up(found: list[int]) -> None:
    trend = foretell(line(*sorted(found)))
    assert trend
    assert trend["says"] == "at this rate never"


def test_each_topic_has_its_trend_and_all_together_theirs() -> None:
    samples = [("orders", 0.0, 600), ("fares", 0.0, 10), ("gone", 0.0, 10**9)]
    trends, trend = foretell_topics(samples, {"orders": 540, "fares": 130, "new": 0}, at=60.0)
    assert [t and t["records_per_second"] for t in trends.values()] == [-1.0, 2.0, None]
    assert trend is None  # of the new topic nothing was known then
    _, trend = foretell_topics(samples, {"orders": 540, "fares": 130}, at=60.0)
    assert trend
    assert (trend["records_per_second"], trend["says"]) == (1.0, "at this rate never")


def test_a_group_without_topics_has_no_trend() -> None:
    assert foretell_topics([], {}, at=0.0) == ({}, None)
