"""The delay board of airport-displays. It knows nothing of messaging."""

from typing import NamedTuple

from django.db import connection
from django.db.models import Max, Sum

from examples.flights.models import BoardRow

# One statement: the ORM's upsert can replace a value, not add to it.
_ADD = """
INSERT INTO flights_boardrow AS board (partition, airport, departures, cancelled,
                                       delayed_over_hour, delay_minutes, worst_delay_minutes)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (partition, airport) DO UPDATE SET
    departures = board.departures + excluded.departures,
    cancelled = board.cancelled + excluded.cancelled,
    delayed_over_hour = board.delayed_over_hour + excluded.delayed_over_hour,
    delay_minutes = board.delay_minutes + excluded.delay_minutes,
    worst_delay_minutes = greatest(board.worst_delay_minutes, excluded.worst_delay_minutes)
"""


class AirportDelays(NamedTuple):
    departures: int
    cancelled: int
    delayed_over_hour: int
    delay_minutes: int
    worst_delay_minutes: int


def add_departure(partition: int, airport: str, delay_minutes: int, *, over_hour: bool) -> None:
    late = max(delay_minutes, 0)
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [partition, airport, 1, 0, int(over_hour), late, late])


def add_cancelled(partition: int, airport: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [partition, airport, 0, 1, 0, 0, 0])


def clear_board(topic: str, targets: dict[int, int]) -> None:
    """Take back what these partitions added. Called in the transaction that resets delay-board."""
    BoardRow.objects.filter(partition__in=list(targets)).delete()


def read_board() -> dict[str, AirportDelays]:
    """What the displays show, by airport."""
    rows = BoardRow.objects.order_by("airport").values_list("airport")
    totals = rows.annotate(
        Sum("departures"),
        Sum("cancelled"),
        Sum("delayed_over_hour"),
        Sum("delay_minutes"),
        Max("worst_delay_minutes"),
    )
    return {airport: AirportDelays(*numbers) for airport, *numbers in totals}
