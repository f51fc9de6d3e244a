"""What a schedule takes and which ticks it has, also where clocks change. Needs no database."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.checks import run_checks

from mqsite import checks
from mqsite.errors import Invalid
from queues.declarations import Queue
from queues.periodic import Periodic

MINUTE = timedelta(minutes=1)


@pytest.fixture
def bookings(registries: None) -> Queue:
    return Queue("bookings", owner="sales")


@pytest.mark.parametrize(
    ("crontab", "day", "expected"),
    [
        ("30 2 * * *", "2026-03-29", ["01:00"]),  # 2:00 to 3:00 is missing: at once after it
        ("0,30 2 * * *", "2026-03-29", ["01:00"]),  # both, as one
        ("30 2 * * *", "2026-10-25", ["00:30"]),  # 2:00 to 3:00 comes twice: the first
        ("30 3 * * *", "2026-10-25", ["02:30"]),
        ("0 * * * *", "2026-03-29", ["00:00", "01:00", "02:00"]),  # each hour there is
        ("0 * * * *", "2026-10-25", ["00:00", "01:00", "02:00"]),
    ],
)
def test_where_clocks_change_daily_ticks_come_once_and_hourly_ones_each_hour(
    bookings: Queue, crontab: str, day: str, expected: list[str]
) -> None:
    declared = Periodic("close", bookings, crontab, timezone="Europe/Berlin")
    start = datetime.fromisoformat(f"{day}T00:00+00:00")
    end = start + timedelta(hours=2, minutes=30)
    found = declared.find_newest(start, end, most=100)
    assert [f"{tick:%H:%M}" for tick in found] == expected
    stepped: list[datetime] = []
    tick = start - timedelta(seconds=1)
    while (tick := declared.find_next(tick) or end) <= end and len(stepped) < 10:
        stepped.append(tick)
    assert stepped == found, "whoever computes them, from wherever"
    for minute in range(150):
        now = start + minute * MINUTE
        after = declared.find_next(now)
        assert after is not None
        assert after > now, "never one that is past"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"crontab": "0 3 * *"}, "it has 5 fields"),
        ({"crontab": "61 3 * * *"}, "Bad minute"),
        ({"crontab": "0 0 30 2 *"}, "Bad day-of-month"),
        ({"crontab": "* * */20 * 1L"}, "no time in the next 50 years"),
        ({"crontab": 5}, "it takes text"),
        ({"timezone": "Europe/Atlantis"}, "timezone is 'Europe/Atlantis'"),
        ({"timezone": "../etc"}, "timezone is '../etc'"),
        ({"missed": "later"}, "missed is 'later'; allowed are skip, catch_up"),
        ({"grace_seconds": -1}, "grace_seconds is -1; allowed are 0 to"),
        ({"queue": "bookings"}, "it takes a declared Queue"),
        ({"name": "a b"}, "'a b' cannot name a periodic command"),
    ],
)
def test_a_declaration_says_what_it_takes(bookings: Queue, options: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"name": "close", "queue": bookings, "crontab": "0 3 * * *", **options}
    with pytest.raises(Invalid) as refused:
        Periodic(**given)
    assert said in str(refused.value)


def test_what_a_queue_would_refuse_and_what_is_declared_twice_is_found_at_start_up(bookings: Queue) -> None:
    Periodic("one", Queue("trips", owner="sales", is_ordered=True), "0 3 * * *")
    Periodic("two", bookings, "0 3 * * *", payload="x" * 1_100_000)
    Periodic("two", bookings, "0 4 * * *")
    Periodic("three", bookings, "0 3 * * *", payload={"at": object()})
    one, two, *rest = sorted(each.msg for each in run_checks(tags=[checks.TAG]))
    assert "declared twice, differently" in "".join((one, two, *rest))
    text = " ".join((one, two, *rest))
    assert "Periodic one cannot be sent to trips: trips is ordered: each message has a group_key" in text
    assert "Periodic two cannot be sent to bookings: Message 0 has 1,1" in text
