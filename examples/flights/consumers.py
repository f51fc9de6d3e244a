"""Who reads the events and who handles the commands.

What a handler writes and the commit of its offset (or the ack of its message) are one transaction.
"""

from typing import Any

from examples.flights import board, fleet
from examples.flights.messaging import DELAY_BOARD, FLEET, FLIGHTS, REBOOKING
from examples.flights.models import Rebooking
from logs.handlers import subscribe
from logs.rows import Record
from queues.handlers import handle
from queues.rows import Message
from queues.services import send

HOUR_MINUTES = 60


@subscribe(DELAY_BOARD, FLIGHTS)
def update_board(record: Record) -> None:
    """Count the event; ask customer-care to rebook when passengers wait for more than an hour."""
    event = record.json()
    if is_cancelled(record):
        board.add_cancelled(record.partition, event["origin"])
        return
    over_hour = event["delay_minutes"] > HOUR_MINUTES
    board.add_departure(record.partition, event["origin"], event["delay_minutes"], over_hour=over_hour)
    if over_hour and not record.is_replay:  # a replay counts again, it rebooks nobody again
        request_rebooking(event)


@subscribe(FLEET, FLIGHTS)
def follow_aircraft(record: Record) -> None:
    """Move the aircraft on; a cancelled flight moves none."""
    event = record.json()
    if not is_cancelled(record) and event["tail_number"]:
        fleet.see_aircraft(
            event["tail_number"],
            flight=event["flight"],
            destination=event["destination"],
            scheduled_at=event["scheduled_at"],
        )


@handle(REBOOKING)
def rebook_passengers(message: Message) -> None:
    Rebooking.objects.create(**message.json())


def request_rebooking(event: dict[str, Any]) -> None:
    send(
        REBOOKING,
        {name: event[name] for name in ("departure", "flight", "destination", "delay_minutes")},
        group_key=event["destination"],  # they want seats on the same flights
        headers=[("ce_type", "RebookPassengers")],
        sender=DELAY_BOARD.owner,
    )


def is_cancelled(record: Record) -> bool:
    return ("ce_type", "FlightCancelled") in record.headers
