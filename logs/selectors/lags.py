"""How far groups are behind: all of them at once, lately, and where that is heading. Part of the selectors."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Any

from django.db.models import Max
from django.db.models.functions import Now

from logs import rows, store
from logs.forecast import TREND_SECONDS, Trend, foretell_topics
from logs.models import ConsumerGroup, LagSample, Member, Reset, Topic
from mqsite import sql, workers
from mqsite.errors import Invalid

HISTORY_POINTS = 300  # at most; a longer time has wider steps
LEAST_STEP_SECONDS = 60  # that of the samples
MOST_HISTORY_HOURS = 7 * 24


def summarise_groups(limit: int, *, using: str) -> list[dict[str, Any]]:
    """The groups that are furthest behind, of all there are."""
    by_group: dict[int, list[rows.Lag]] = defaultdict(list)
    for lag in store.lags(None, using=using):
        by_group[lag.group_id].append(lag)
    known = ConsumerGroup.objects.using(using).values_list("id", "name", "owner__name")
    found = sorted(((name, owner, by_group[id_]) for id_, name, owner in known), key=_furthest_first)[:limit]
    read = {lag.topic_id for _, _, lags in found for lag in lags}
    names = dict(Topic.objects.using(using).filter(id__in=read).values_list("id", "name"))
    readers = _find_readers([name for name, _, _ in found], using=using)
    return [_summarise(name, owner, lags, names, readers[name]) for name, owner, lags in found]


def read_history(group_id: int, topic_id: int | None, *, hours: float, using: str = "default") -> list[dict[str, Any]]:
    """Points for a chart, oldest first, at most HISTORY_POINTS."""
    if not 0 < hours <= MOST_HISTORY_HOURS:
        raise Invalid(reason=f"hours is {hours}; allowed are more than 0 up to {MOST_HISTORY_HOURS}.")
    seconds = hours * 3_600
    steps = ceil(seconds / (HISTORY_POINTS - 1) / LEAST_STEP_SECONDS)
    points = store.lag_history(
        group_id, topic_id, seconds=seconds, step_seconds=steps * LEAST_STEP_SECONDS, using=using
    )
    return [{**point._asdict(), "at": point.at.isoformat()} for point in points]


def find_trends(
    group_id: int, present: Mapping[str, int], *, using: str
) -> tuple[dict[str, Trend | None], Trend | None]:
    """The trend of each topic and of all together, given each topic's lag as it is now.

    What was before a reset says nothing about the reading since.
    """
    now = sql.now(using)
    since = now - timedelta(seconds=TREND_SECONDS)
    resets = Reset.objects.using(using).filter(group_id=group_id, at__gt=since)
    since = resets.aggregate(last=Max("at"))["last"] or since
    samples = LagSample.objects.using(using).filter(group_id=group_id, topic__name__in=present, at__gt=since)
    taken = [(topic, at.timestamp(), lag) for topic, at, lag in samples.values_list("topic__name", "at", "lag")]
    return foretell_topics(taken, present, at=now.timestamp())


def _furthest_first(found: tuple[str, str, list[rows.Lag]]) -> tuple[float, int, str]:
    name, _, lags = found
    return -(_oldest(lags) or 0.0), -sum(lag.lag for lag in lags), name


def _oldest(lags: list[rows.Lag]) -> float | None:
    return max((lag.lag_seconds for lag in lags if lag.lag_seconds is not None), default=None)


def _find_readers(groups: list[str], *, using: str) -> dict[str, set[str]]:
    """Group to its members, and the worker processes that handle it, whether they hold anything or not."""
    readers: dict[str, set[str]] = {group: set() for group in groups}
    live = Member.objects.using(using).filter(group__name__in=groups, expires_at__gt=Now())
    for group, member in live.values_list("group__name", "name"):
        readers[group].add(member)
    for process, handles in workers.find_alive(using=using):
        for group in {handled.split(":")[1] for handled in handles if handled.startswith("logs:")}:
            if group in readers:
                readers[group].add(process)
    return readers


def _summarise(
    name: str, owner: str, lags: list[rows.Lag], topics: Mapping[int, str], readers: set[str]
) -> dict[str, Any]:
    return {
        "group": name,
        "owner": owner,
        "topics": sorted(topics[lag.topic_id] for lag in lags if lag.topic_id in topics),
        "members": len(readers.union(*(lag.holders for lag in lags))),
        "lag": sum(lag.lag for lag in lags),
        "lag_seconds": _oldest(lags),
        "failing": sum(lag.failing for lag in lags),
        "paused": sum(lag.paused for lag in lags),
        "not_started": sum(lag.not_started for lag in lags),
    }
