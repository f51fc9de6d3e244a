"""What the example's tables and mqsite say, and what they must say, in one shape that is plain JSON."""

import json
from typing import Any

import logs.selectors
import queues.selectors
from examples.flights.board import read_board
from examples.flights.expected import expect
from examples.flights.models import Aircraft, Departure, Rebooking
from examples.flights.schedule import NEW_YORK

GROUPS = ("delay-board", "fleet")
STATES = ("scheduled", "ready", "waiting", "leased", "dead")


def read_state() -> dict[str, Any]:
    return _plain(
        departures=Departure.objects.count(),
        records=logs.selectors.describe_topic("flights")["records"],
        lag={row["group"]: row["lag"] for row in logs.selectors.groups()},
        board=read_board(),
        aircraft=_read_aircraft(),
        rebookings=Rebooking.objects.count(),
        messages=queues.selectors.count_messages(["rebooking"])["rebooking"],
    )


def final_state(days: int) -> dict[str, Any]:
    """When everything is played, read and handled: computed from the file alone."""
    expected = expect(days)
    return _plain(
        departures=expected.records,
        records=expected.records,
        lag=dict.fromkeys(GROUPS, 0),
        board=expected.board,
        aircraft=expected.aircraft,
        rebookings=expected.rebookings,
        messages=dict.fromkeys(STATES, 0),
    )


def print_state() -> None:
    print(json.dumps(read_state()))


def _read_aircraft() -> dict[str, tuple[str, str, str]]:
    return {
        seen.tail_number: (seen.flight, seen.destination, f"{seen.scheduled_at.astimezone(NEW_YORK):%Y-%m-%d %H:%M}")
        for seen in Aircraft.objects.all()
    }


def _plain(**facts: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain
