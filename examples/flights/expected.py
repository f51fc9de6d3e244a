"""What must come out, computed from the file alone: no Django, no mqsite, no database.

python examples/flights/expected.py
"""

import csv
import gzip
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "data" / "nyc_departures_2013_01.csv.gz"


class Expected(NamedTuple):
    records: int
    rebookings: int
    board: dict[str, tuple[int, int, int, int, int]]  # airport: see COUNTED
    aircraft: dict[str, tuple[str, str, str]]  # tail number: flight, destination, local time


COUNTED = ("departures", "cancelled", "delayed over an hour", "delay minutes", "worst delay")


def expect(days: int = 31) -> Expected:
    """The numbers after the first `days` of the month."""
    with gzip.open(FILE, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["day"]) <= days]
    left = [row for row in rows if row["dep_delay"] != "NA"]
    return Expected(
        records=len(rows),
        rebookings=sum(int(row["dep_delay"]) > 60 for row in left),
        board={airport: count(airport, rows) for airport in sorted({row["origin"] for row in rows})},
        aircraft={row["tailnum"]: place(row) for row in left},  # in the order of the file: the last one stays
    )


def count(airport: str, rows: list[dict[str, str]]) -> tuple[int, int, int, int, int]:
    here = [row["dep_delay"] for row in rows if row["origin"] == airport]
    delays = [max(int(delay), 0) for delay in here if delay != "NA"]
    return len(delays), here.count("NA"), sum(delay > 60 for delay in delays), sum(delays), max(delays, default=0)


def place(row: dict[str, str]) -> tuple[str, str, str]:
    time = row["sched_dep_time"].zfill(4)
    return row["carrier"] + row["flight"], row["dest"], f"2013-01-{int(row['day']):02} {time[:2]}:{time[2:]}"


if __name__ == "__main__":
    expected = expect()
    print(f"{expected.records:,} records, {expected.rebookings:,} rebookings, {len(expected.aircraft):,} aircraft")
    for name, numbers in expected.board.items():
        print(name, ", ".join(f"{number:,} {what}" for number, what in zip(numbers, COUNTED, strict=True)))
