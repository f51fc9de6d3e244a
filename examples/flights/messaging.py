"""What this application publishes, reads and handles. `migrate` creates what is missing."""

from examples.flights.board import clear_board
from logs.declarations import Group, Topic
from queues.declarations import Queue

FLIGHTS = Topic(
    "flights",
    owner="operations",
    partitions=6,
    configs={"retention.ms": -1},  # a new group can start at the first record, whenever it comes
    description="Departures from New York as they happen: FlightDeparted or FlightCancelled, by tail number.",
)
DELAY_BOARD = Group("delay-board", owner="airport-displays", on_reset=clear_board)
FLEET = Group("fleet", owner="fleet-tracking")

REBOOKING = Queue(
    "rebooking",
    owner="customer-care",
    lease_seconds=30,
    max_receives=5,
    description="RebookPassengers: a departure is more than an hour late.",
)
