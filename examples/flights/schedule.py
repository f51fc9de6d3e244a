"""The departures in data/, in the order of their scheduled time."""

import csv
import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from examples.flights.models import Departure

FILE = Path(__file__).parent / "data" / "nyc_departures_2013_01.csv.gz"
DAYS = 31
NEW_YORK = timezone(timedelta(hours=-5), "EST")  # all of January


def read_departures(days: int = DAYS) -> Iterator[Departure]:
    """The first `days` of January 2013."""
    with gzip.open(FILE, "rt", newline="") as file:
        for number, line in enumerate(csv.DictReader(file), start=1):
            if int(line["day"]) > days:
                return
            yield _departure(number, line)


def _departure(number: int, line: dict[str, str]) -> Departure:
    hour, minute = divmod(int(line["sched_dep_time"]), 100)
    return Departure(
        row=number,
        flight=line["carrier"] + line["flight"],
        tail_number="" if line["tailnum"] == "NA" else line["tailnum"],
        origin=line["origin"],
        destination=line["dest"],
        scheduled_at=datetime(2013, 1, int(line["day"]), hour, minute, tzinfo=NEW_YORK),
        delay_minutes=None if line["dep_delay"] == "NA" else int(line["dep_delay"]),
    )
