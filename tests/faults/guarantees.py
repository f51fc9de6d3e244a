"""docs/guarantees.md: what each cell of the matrix promises and what a full run has seen."""

import re
from collections.abc import Mapping

from tests.faults.cells import (
    AFTER,
    BEAT,
    BEFORE,
    BETWEEN,
    CELLS,
    CHILD,
    CONNECTION,
    DATABASE_CLOCK,
    DIES,
    IN,
    NETWORK,
    POSTGRES,
    VALKEY,
    WORKER,
    WORKER_CLOCK,
    Cell,
    Seen,
)
from tests.house import PROJECT

PAGE = PROJECT / "docs" / "guarantees.md"

DEATHS = {
    CHILD: "`kill -9` of a worker's child process",
    WORKER: "`kill -9` of a worker and all of its children; another one takes over",
    BEAT: "`kill -9` of Celery beat, which stays away",
    VALKEY: "`kill -9` of Valkey, which stays away until all is handled",
    POSTGRES: "`kill -9` of all of PostgreSQL, which starts again",
    CONNECTION: "the handler's database connection is terminated, and all that rest; the worker lives",
    NETWORK: "between worker and PostgreSQL no packet arrives any more and neither side is told; another worker takes "
    "over, and the first goes on when its network does",
    WORKER_CLOCK: "the clock of all worker processes jumps an hour ahead, after a heartbeat two hours back, and is "
    "right again once all is handled",
    DATABASE_CLOCK: "the clock of PostgreSQL jumps an hour ahead, so that whoever holds something seems to be dead, "
    "and back once all is handled",
}
MOMENTS = {
    BEFORE: "nothing of it was fetched or received yet: it is published or sent right after",
    IN: "the handler has written its row, its effect outside is still to come",
    BETWEEN: "the commit of the offset, or the ack, has reached PostgreSQL and is not done "
    "(`at_most_once`: its handler has not begun)",
    AFTER: "it is done, but the answer did not reach the worker (`at_most_once`: so its handler has not begun)",
}
HEAD = """\
# What is promised when something dies

Made by `bin/test tests/faults --full --write-guarantees`; a test holds the promises to the code and the page to the
promises. Real Celery workers run handlers that write one row in this database and one line outside of it. They are
stopped at the moment that is meant, and killed there. Of every cell one record or message, then counted.

In every cell, beside the counts:

- What is committed or acknowledged is so within the time of a takeover, and nobody holds a partition or a lease
  for what is dead. That is 15 s: 9 s until who is silent is dead (`MQSITE_MEMBER_SECONDS`), 4 s until the next sweep
  (`MQSITE_SWEEP_SECONDS`), 2 s to spare.
- The locks of a killed process and of one behind a cut network are free by then, too: within 8 s
  (`MQSITE_CUT_SECONDS` is 7).
- So is the slot of a handler with `concurrency` (in the runs: 1, with `at_least_once`).
- Other topics and queues go on meanwhile, and the workers that were not killed stay.

The runs shrink the 9, 4 and 7 s to 2, 1 and 2, and ask for a takeover within 8 s.

At the end of a run the workers are asked to stop (SIGTERM) while handlers are at work: these end, are committed and
acknowledged, once, and nothing is held.

What `at_most_once` may lose is what a worker had in hand. An ack of `at_least_once` does not wait for the disk: a
crash of PostgreSQL may bring a message again that was acknowledged in the second before it.

Only the clock of PostgreSQL counts, never that of a worker. If it jumps back, what somebody held who
dies then, and what waits for its time, comes so much later.

"""
COLUMNS = """\
| when | half | delivery | rows: promised | seen | effects outside: promised | seen |
|---|---|---|---|---|---|---|
"""
ROW = re.compile(r"\| (\w+) \| (\w+) \| `(\w+)` \| ([\w ]+) \| (\d+) \| ([\w ]+) \| (\d+) \|")


def render(seen: Mapping[Cell, Seen]) -> str:
    said = HEAD + _define("what dies", DEATHS) + "\n" + _define("when", MOMENTS)
    for dies in DIES:
        said += f"\n## {dies}\n\n{COLUMNS}"
        said += "".join(_row(cell, seen[cell]) for cell in CELLS if cell.dies == dies)
    return said


def read(page: str) -> dict[Cell, tuple[str, str, Seen]]:
    """Of each row: the promised counts as they stand there, and what was seen."""
    found = {}
    for section in page.split("\n## ")[1:]:
        dies = section.split("\n")[0]
        for when, half, delivery, rows, rows_seen, outside, outside_seen in ROW.findall(section):
            found[Cell(dies, when, half, delivery)] = (rows, outside, Seen(int(rows_seen), int(outside_seen)))
    return found


def _define(title: str, meanings: Mapping[str, str]) -> str:
    return f"| {title} | |\n|---|---|\n" + "".join(f"| {name} | {meaning} |\n" for name, meaning in meanings.items())


def _row(cell: Cell, seen: Seen) -> str:
    promise = cell.promise
    return (
        f"| {cell.when} | {cell.half} | `{cell.delivery}` | {promise.database} | {seen.database}"
        f" | {promise.outside} | {seen.outside} |\n"
    )
