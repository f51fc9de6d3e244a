"""What operations does: it records departures, and with them it says that they happened."""

from collections.abc import Sequence

from django.db import transaction

from examples.flights.messaging import FLIGHTS
from examples.flights.models import Departure
from logs.services import NewRecord, publish_many


def record_departures(departures: Sequence[Departure]) -> int:
    """Write departures and publish an event for each, in one transaction: both or neither.

    Those recorded before are left out; how many were new. Each row of the file becomes one event:
    FlightDeparted, or FlightCancelled where nothing left. The key is the tail number, so the
    events of one aircraft stay in order.
    """
    with transaction.atomic():
        rows = [departure.row for departure in departures]
        recorded = set(Departure.objects.filter(row__in=rows).values_list("row", flat=True))
        new = [departure for departure in departures if departure.row not in recorded]
        Departure.objects.bulk_create(new)
        publish_many(FLIGHTS, [_event(departure) for departure in new])
    return len(new)


def _event(departure: Departure) -> NewRecord:
    cancelled = departure.delay_minutes is None
    value = {
        "departure": departure.row,
        "flight": departure.flight,
        "tail_number": departure.tail_number or None,
        "origin": departure.origin,
        "destination": departure.destination,
        "scheduled_at": departure.scheduled_at,
    }
    if not cancelled:
        value["delay_minutes"] = departure.delay_minutes
    return NewRecord(
        value,
        key=departure.tail_number or None,
        headers=[("ce_type", "FlightCancelled" if cancelled else "FlightDeparted")],
    )
