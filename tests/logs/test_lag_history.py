"""The history of lag: what is sampled and kept, how it is read, and what it says of the time to come."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models.functions import TruncMinute

from logs import pictures, selectors, services
from logs.errors import GroupNotFound, TopicNotFound
from logs.models import ConsumerGroup, LagSample, Reset, Topic
from logs.services import NewRecord, history
from logs.services.history import COARSE_SECONDS, COARSE_STEP_SECONDS, FINE_SECONDS
from mqsite.errors import Invalid
from tests.concurrency import all_at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def group() -> str:
    """A group that has read nothing of ten records on each of two partitions; there is no other."""
    ConsumerGroup.objects.all().delete()
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(20)], boundary="shop")
    return "billing"


def commit(offset: int, *, partition: int) -> None:
    assignment = services.acquire_partition("billing", "orders", partition, member="a")
    assert assignment
    services.commit_offset(assignment, offset)
    services.release_partition(assignment)


# What is sampled and kept


def add_samples(times: list[datetime], *, lag: int = 0, topic: str = "orders") -> None:
    group, read = ConsumerGroup.objects.get(name="billing"), Topic.objects.get(name=topic)
    LagSample.objects.bulk_create(LagSample(group=group, topic=read, at=at, lag=lag, log_end=lag) for at in times)


def sampled() -> list[datetime]:
    return list(LagSample.objects.order_by("at").values_list("at", flat=True))


def samples_a_minute() -> Counter[Any]:
    rows = LagSample.objects.annotate(minute=TruncMinute("at"))
    return Counter(rows.values_list("group__name", "topic__name", "minute"))


def test_a_sample_is_the_lag_of_each_group_and_topic_as_it_is() -> None:
    services.create_topic("fares", owner="shop")
    services.create_group("fraud", owner="billing", topics=["fares", "orders"])
    commit(4, partition=0)
    commit(10, partition=1)
    assert services.sample_lag() == 3
    found = LagSample.objects.order_by("group__name", "topic__name").values_list("group__name", "topic__name", "lag")
    assert list(found) == [("billing", "orders", 6), ("fraud", "fares", 0), ("fraud", "orders", 20)]
    sample = LagSample.objects.get(group__name="billing")
    assert sample.log_end == 20
    assert sample.lag_seconds
    assert LagSample.objects.get(topic__name="fares").lag_seconds is None
    assert LagSample.objects.values("at").distinct().count() == 1


def test_there_is_one_sample_a_minute_and_another_in_the_next() -> None:
    for _ in range(3):
        services.sample_lag()
    assert set(samples_a_minute().values()) == {1}
    (before, *_) = sampled()
    LagSample.objects.filter(at=before).update(at=before - timedelta(minutes=1))
    LagSample.objects.exclude(at=before - timedelta(minutes=1)).delete()
    assert services.sample_lag() == 1
    assert set(samples_a_minute().values()) == {1}


def test_a_topic_that_is_new_in_the_minute_is_sampled_without_the_others() -> None:
    services.sample_lag()
    services.create_topic("fares", owner="shop")
    services.subscribe_group("billing", "fares")
    services.sample_lag()
    assert {topic for _, topic, _ in samples_a_minute()} == {"orders", "fares"}
    assert set(samples_a_minute().values()) == {1}


def test_of_many_samplers_at_once_one_samples() -> None:
    for n in range(9):
        services.create_group(f"group-{n}", owner="billing", topics=["orders"])
    counts = all_at_once([services.sample_lag] * 6)
    assert sum(counts) == len(sampled()) >= 10
    assert set(samples_a_minute().values()) == {1}


def test_the_upkeep_samples_and_many_upkeeps_do_no_more() -> None:
    all_at_once([services.run_upkeep] * 3)
    assert set(samples_a_minute().values()) == {1}


def test_without_groups_there_is_nothing_to_sample() -> None:
    ConsumerGroup.objects.all().delete()
    assert services.sample_lag() == 0


def thinned(times: list[datetime]) -> list[datetime]:
    """What should be left of samples in ascending order."""
    now, steps, kept = datetime.now(UTC), set(), []
    for at in times:
        step, age = at.timestamp() // COARSE_STEP_SECONDS, (now - at).total_seconds()
        is_first = step not in steps
        steps.add(step)
        if age < FINE_SECONDS or (age < COARSE_SECONDS and is_first):
            kept.append(at)
    return kept


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every thinning looks at all there is."""
    monkeypatch.setattr(history, "THIN_SLICES", 1)


def thin(*, limit: int = 10_000) -> None:
    while services.thin_history(limit=limit):
        pass


@pytest.mark.usefixtures("whole")
def test_each_minute_is_kept_for_a_day_then_one_in_fifteen_for_a_week_then_none() -> None:
    start = datetime.now(UTC) - timedelta(seconds=30)  # no sample is just at the age of a border
    minutes = [*range(60), *range(24 * 60 - 40, 24 * 60 + 40), *range(7 * 24 * 60 - 40, 7 * 24 * 60 + 40)]
    times = sorted(start - timedelta(minutes=m) for m in minutes)
    add_samples(times)
    services.create_topic("left", owner="shop")  # by the group: its history ends like any other
    add_samples(times, topic="left")
    expected = thinned(times)
    thin()
    for topic in ("orders", "left"):
        found = LagSample.objects.filter(topic__name=topic).order_by("at").values_list("at", flat=True)
        assert list(found) == expected
    assert min(expected) > start - timedelta(days=7)
    assert sum(at > start - timedelta(days=1) for at in expected) == 60 + 40
    assert 100 + 3 + 2 <= len(expected) <= 100 + 4 + 3


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("limit", [7, 10_000])
def test_after_a_long_stop_all_that_is_too_dense_goes_in_bounded_steps(limit: int) -> None:
    start = datetime.now(UTC) - timedelta(hours=60, seconds=30)
    times = sorted(start - timedelta(minutes=m) for m in range(600))
    add_samples(times)
    assert services.thin_history(limit=limit) <= limit
    expected = thinned(times)
    thin(limit=limit)
    assert sampled() == expected
    assert 40 <= len(expected) <= 41


def test_every_group_and_topic_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(5):
        services.create_topic(f"topic-{n}", owner="shop")
        add_samples([datetime.now(UTC) - timedelta(days=8)], topic=f"topic-{n}")
    slices = iter(range(60))
    monkeypatch.setattr("logs.services.history.random.randrange", lambda count: next(slices) % count)
    assert sum(services.thin_history() for _ in range(60)) == 5
    assert sampled() == []


# The history as it is read


def test_a_history_is_read_oldest_first_by_topic_or_over_all() -> None:
    services.create_topic("fares", owner="shop")
    now = datetime.now(UTC)
    times = [now - timedelta(minutes=m) for m in (90, 30, 20)]
    add_samples(times, lag=5)
    add_samples(times, lag=2, topic="fares")
    expected = [{"at": at.isoformat(), "lag": 7, "lag_seconds": None, "log_end": 7} for at in times]
    assert selectors.lag_history("billing") == expected[1:]
    assert selectors.lag_history("billing", hours=2) == expected
    assert [p["lag"] for p in selectors.lag_history("billing", "fares", hours=2)] == [2, 2, 2]
    assert json.loads(json.dumps(expected)) == expected


@pytest.mark.parametrize("hours", [0.5, 1, 5, 24, 168])
def test_a_history_is_bounded_however_long_it_is(hours: float) -> None:
    now = datetime.now(UTC)
    add_samples([now - timedelta(minutes=m) for m in range(24 * 60)])
    add_samples([now - timedelta(minutes=15 * m) for m in range(97, 7 * 24 * 4)])
    points = selectors.lag_history("billing", hours=hours)
    assert 25 <= len(points) <= 300
    assert [p["at"] for p in points] == sorted(p["at"] for p in points)


def test_a_history_names_what_it_does_not_know() -> None:
    for hours in (0, -1, 169, float("nan")):
        with pytest.raises(Invalid, match="allowed are more than 0 up to 168"):
            selectors.lag_history("billing", hours=hours)
    with pytest.raises(GroupNotFound):
        selectors.lag_history("biling")
    with pytest.raises(TopicNotFound):
        selectors.lag_history("billing", "order")
    assert selectors.lag_history("billing") == []


# Where it is heading


def fact_of(described: dict[str, Any]) -> str:
    """What the page says of the lag."""
    fact: str = pictures.draw_group(described)["facts"][1]
    return fact


def test_a_group_says_when_it_will_be_caught_up() -> None:
    now = datetime.now(UTC)
    add_samples([now - timedelta(minutes=30)], lag=0)  # too old to count
    add_samples([now - timedelta(minutes=1)], lag=80)
    described = selectors.describe_group("billing")
    trend = described["topics"][0]["trend"]
    assert trend == described["trend"]
    assert trend["records_per_second"] == pytest.approx(-1, rel=0.1)
    assert trend["caught_up_in_seconds"] == pytest.approx(20, rel=0.1)
    assert trend["says"].startswith("at this rate caught up in ")
    assert fact_of(described) == f"20 records unread on 2 partitions, {trend['says']}"


def test_a_group_that_falls_behind_says_never_and_one_that_stays_says_steady() -> None:
    add_samples([datetime.now(UTC) - timedelta(minutes=1)], lag=10)
    described = selectors.describe_group("billing")
    assert described["trend"]["says"] == "at this rate never"
    LagSample.objects.update(lag=20)
    described = selectors.describe_group("billing")
    assert described["trend"]["says"] == "steady"
    assert fact_of(described) == "20 records unread on 2 partitions, steady"


def test_without_samples_and_right_after_a_reset_it_says_nothing() -> None:
    described = selectors.describe_group("billing")
    assert (described["trend"], described["topics"][0]["trend"]) == (None, None)
    assert fact_of(described) == "20 records unread on 2 partitions"
    now = datetime.now(UTC)
    add_samples([now - timedelta(minutes=m) for m in (3, 2, 1)], lag=0)
    group = ConsumerGroup.objects.get()
    Reset.objects.create(group=group, at=now - timedelta(seconds=40), actor="ann", mode="earliest", said="to earliest")
    described = selectors.describe_group("billing")
    assert described["trend"] is None
    assert fact_of(described) == "20 records unread on 2 partitions"


def test_what_is_caught_up_is_not_said_twice() -> None:
    commit(10, partition=0)
    commit(10, partition=1)
    add_samples([datetime.now(UTC) - timedelta(minutes=1)], lag=10)
    described = selectors.describe_group("billing")
    assert described["trend"]["says"] == "caught up"
    assert fact_of(described) == "nothing unread on 2 partitions"
