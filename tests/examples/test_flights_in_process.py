"""Flights through both halves, without workers: every number equals what the file says."""

import threading
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from itertools import product
from typing import Any

import pytest
from django.db import connection, transaction

import logs.consumer
import logs.services
import queues.consumer
from examples.flights import board
from examples.flights.board import add_departure, read_board
from examples.flights.models import BoardRow, Departure
from examples.flights.schedule import NEW_YORK, read_departures
from examples.flights.services import record_departures
from tests.concurrency import all_at_once, in_thread
from tests.examples.readings import final_state, read_state
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(300),  # half a minute on two idle cores, several on busy ones
]

BATCH_DEPARTURES = 500


def record_all(days: int) -> int:
    departures = list(read_departures(days))
    batches = [departures[i : i + BATCH_DEPARTURES] for i in range(0, len(departures), BATCH_DEPARTURES)]
    return sum(record_departures(batch) for batch in batches)


def read_to_the_end(*groups: str) -> None:
    """Two readers at a time, as two workers would."""

    def drain(partitions: Iterable[int]) -> None:
        for group, partition in product(groups, partitions):
            while logs.consumer.drain(group, "flights", partition, stop=lambda: False):
                pass

    all_at_once([partial(drain, (0, 1, 2)), partial(drain, (3, 4, 5))])


def handle_all() -> None:
    while queues.consumer.drain("rebooking", stop=lambda: False):
        pass


def reset(group: str, partitions: list[int] | None = None) -> None:
    logs.services.reset_offsets(group, "to-earliest", topics={"flights": partitions}, actor="test")


def test_two_days_add_up_and_a_replay_changes_nothing() -> None:
    """The whole month is read by real workers in test_flights_end_to_end."""
    record_all(2)
    read_to_the_end("delay-board", "fleet")
    handle_all()
    assert read_state() == final_state(2)
    reset("delay-board")
    assert read_board() == {}
    read_to_the_end("delay-board")
    assert read_state() == final_state(2)  # no message either: nobody asked for a second rebooking


def test_an_event_says_what_happened() -> None:
    cancelled = next(departure for departure in read_departures(1) if departure.delay_minutes is None)
    record_departures([next(read_departures(1)), cancelled])
    records = [record for partition in range(6) for record in logs.services.fetch("flights", partition, 0)]
    left, stayed = sorted(records, key=lambda record: record.json()["departure"])
    assert left.key == b"N14228"
    assert left.headers == [("ce_type", "FlightDeparted")]
    assert left.json() == {
        "departure": 1,
        "flight": "UA1545",
        "tail_number": "N14228",
        "origin": "EWR",
        "destination": "IAH",
        "scheduled_at": "2013-01-01T05:15:00-05:00",
        "delay_minutes": 2,
    }
    assert stayed.headers == [("ce_type", "FlightCancelled")]
    assert "delay_minutes" not in stayed.json()


def test_what_is_rolled_back_was_not_published() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert record_departures(list(read_departures(1))) == 842
        _ = 1 / 0
    assert Departure.objects.count() == read_state()["records"] == 0


def test_departures_recorded_again_are_left_out() -> None:
    assert record_all(2) == 1_785
    assert record_all(3) == final_state(3)["records"] - 1_785
    assert read_state()["records"] == final_state(3)["records"]


def test_a_reset_of_some_partitions_takes_back_what_came_from_them() -> None:
    record_all(2)
    read_to_the_end("delay-board", "fleet")
    handle_all()
    others = list(BoardRow.objects.exclude(partition__in=[1, 4]).values())
    reset("delay-board", partitions=[1, 4])
    assert list(BoardRow.objects.values()) == others
    read_to_the_end("delay-board")
    assert read_state() == final_state(2)


def test_a_reset_in_the_middle_of_the_first_reading_rebooks_nobody_twice() -> None:
    record_all(2)
    for partition in range(6):
        logs.consumer.drain(
            "delay-board", "flights", partition, stop=BoardRow.objects.filter(partition=partition).exists
        )
    assert 0 < read_state()["lag"]["delay-board"] < final_state(2)["records"]
    reset("delay-board")
    read_to_the_end("delay-board", "fleet")
    handle_all()
    assert read_state() == final_state(2)


def test_a_reset_does_not_deadlock_with_a_batch_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler writes rows in the order of the events, `on_reset` deletes them in that of the table."""
    record_departures([departure(1, "EWR"), departure(2, "JFK")])
    read_to_the_end("delay-board")
    record_departures([departure(3, "JFK"), departure(4, "EWR")])
    in_the_middle, go_on = threading.Event(), threading.Event()

    def add_and_pause(*args: Any, **kwargs: Any) -> None:
        add_departure(*args, **kwargs)
        if not in_the_middle.is_set():
            in_the_middle.set()
            assert go_on.wait(timeout=30)

    monkeypatch.setattr(board, "add_departure", add_and_pause)
    reading = in_thread(partial(read_to_the_end, "delay-board"))
    assert in_the_middle.wait(timeout=10)
    resetting = in_thread(partial(reset, "delay-board"))
    wait_until(somebody_waits_for_a_lock)
    go_on.set()
    resetting.result(timeout=30)
    reading.result(timeout=30)
    read_to_the_end("delay-board")
    assert {airport: numbers.departures for airport, numbers in read_board().items()} == {"EWR": 2, "JFK": 2}


def departure(row: int, origin: str) -> Departure:
    """Of one aircraft, so that all of them are in one partition."""
    at = datetime(2013, 1, 1, row, tzinfo=NEW_YORK)
    return Departure(
        row=row, flight=f"UA{row}", tail_number="N1", origin=origin, destination="IAH", scheduled_at=at, delay_minutes=0
    )


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_a_replay_moves_no_aircraft_back() -> None:
    record_all(2)
    read_to_the_end("fleet")
    reset("fleet")
    logs.consumer.drain("fleet", "flights", 0, stop=lambda: read_state()["lag"]["fleet"] < final_state(2)["records"])
    state = read_state()
    assert state["lag"]["fleet"] > 0
    assert state["aircraft"] == final_state(2)["aircraft"]
