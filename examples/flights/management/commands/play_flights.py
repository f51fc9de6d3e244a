"""Operations at work: records the departures of January 2013, each when its time has come."""

import argparse
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, InterfaceError, OperationalError, connection

from examples.flights.models import Departure
from examples.flights.schedule import DAYS, read_departures
from examples.flights.services import record_departures

T = TypeVar("T")

BATCH_DEPARTURES = 500
DATABASE_AWAY_SECONDS = 120.0
RETRY_SECONDS = 0.5


class Command(BaseCommand):
    help = "Record the departures from New York in January 2013. Goes on where it was stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--speed", type=positive, default=600.0, help="times real time; 600: ten minutes a second")
        parser.add_argument("--all-at-once", action="store_true", help=f"{BATCH_DEPARTURES} a transaction, no waiting")
        parser.add_argument("--days", type=days, default=DAYS, metavar="N", help="only the first N days")

    def handle(self, *, speed: float, all_at_once: bool, days: int, **_: Any) -> None:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self.play(list(read_departures(days)), None if all_at_once else speed)
        except KeyboardInterrupt:  # the transaction it came in was rolled back
            self.say("Stopped. Start again to go on.")
        finally:
            signal.signal(signal.SIGTERM, before)

    def play(self, departures: list[Departure], speed: float | None) -> None:
        known = self.insist(lambda: set(Departure.objects.values_list("row", flat=True)))
        new = [departure for departure in departures if departure.row not in known]
        done = len(departures) - len(new)
        batches = on_time(new, speed) if speed else in_batches(new)
        for day, batches_of_day in groupby(batches, key=lambda batch: batch[0].scheduled_at.date()):
            for batch in batches_of_day:
                self.insist(partial(record_departures, batch))
                done += len(batch)
            self.say(f"{day:%-d %B}: {done:,} of {len(departures):,} departures")
        self.say(f"Complete: {done:,} departures.")

    def insist(self, work: Callable[[], T]) -> T:
        """The result of `work`, which is tried again while the database is away.

        Also when another `play_flights` was faster: what that recorded is then left out.
        """
        deadline = time.monotonic() + DATABASE_AWAY_SECONDS
        while True:
            try:
                return work()
            except (OperationalError, InterfaceError, IntegrityError) as error:
                if time.monotonic() > deadline:
                    raise CommandError(f"Given up after {DATABASE_AWAY_SECONDS:.0f} s: {error}") from error
                self.say(f"Trying again: {error}".splitlines()[0])
            connection.close()
            time.sleep(RETRY_SECONDS)

    def say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def on_time(departures: list[Departure], speed: float) -> Iterator[list[Departure]]:
    """Each departure by itself, `speed` times as fast as they were scheduled from the first one on."""
    began = time.monotonic()
    for departure in departures:
        after = (departure.scheduled_at - departures[0].scheduled_at).total_seconds() / speed
        time.sleep(max(0.0, began + after - time.monotonic()))
        yield [departure]


def in_batches(departures: list[Departure]) -> Iterator[list[Departure]]:
    """The departures of each day, in batches."""
    for _, day in groupby(departures, key=lambda departure: departure.scheduled_at.date()):
        rest = list(day)
        while rest:
            yield rest[:BATCH_DEPARTURES]
            rest = rest[BATCH_DEPARTURES:]


def positive(text: str) -> float:
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return speed


def days(text: str) -> int:
    number = int(text)
    if not 1 <= number <= DAYS:
        raise argparse.ArgumentTypeError(f"must be 1 to {DAYS}")
    return number
