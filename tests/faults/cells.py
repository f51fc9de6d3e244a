"""The cells of the fault matrix, what each promises, and the choice of them that meets every pair."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from mqsite.handling import AT_LEAST_ONCE, AT_MOST_ONCE, DELIVERIES, TRANSACTION

CHILD, WORKER, BEAT, VALKEY, POSTGRES, CONNECTION, NETWORK, WORKER_CLOCK, DATABASE_CLOCK = DIES = (
    "child",
    "worker",
    "beat",
    "valkey",
    "postgres",
    "connection",
    "network",
    "worker_clock",
    "database_clock",
)
BEFORE, IN, BETWEEN, AFTER = WHENS = ("before", "in", "between", "after")
LOG, QUEUE = HALVES = ("log", "queue")
PAIRWISE, FULL = "pairwise", "full"
MANY = 1_000_000
# Topics and queues of those whom nothing happens to, and of those who are at work when the workers are asked to stop.
OTHERS, SHUTDOWN = "others", "shutdown"
OUTSIDE_FILE = "outside"  # a line for each effect outside of the database


class Count(NamedTuple):
    """How often at least and at most."""

    least: int
    most: int

    def __str__(self) -> str:
        if self.most == MANY:
            return f"{self.least} or more"
        return str(self.least) if self.least == self.most else f"{self.least} or {self.most}"


ONCE, ONCE_OR_MORE, ONCE_OR_NEVER = Count(1, 1), Count(1, MANY), Count(0, 1)


class Promise(NamedTuple):
    database: Count  # how often the handler's row is there
    outside: Count  # how often its effect elsewhere happened


class Seen(NamedTuple):
    database: int
    outside: int

    def keeps(self, promise: Promise) -> bool:
        pairs = zip(self, promise, strict=True)
        return all(count.least <= seen <= count.most for seen, count in pairs)


class Cell(NamedTuple):
    dies: str
    when: str
    half: str
    delivery: str

    def __str__(self) -> str:
        """Also the name of its topic or queue."""
        return "-".join(self).replace("_", "-")

    @property
    def promise(self) -> Promise:
        is_needed = self.dies not in (BEAT, VALKEY, WORKER_CLOCK)
        if self.delivery == TRANSACTION:
            return Promise(ONCE, ONCE_OR_MORE if is_needed else ONCE)
        if self.delivery == AT_LEAST_ONCE:
            return Promise(*[ONCE_OR_MORE if is_needed else ONCE] * 2)
        assert self.delivery == AT_MOST_ONCE
        is_in_hand = is_needed and self.when != BEFORE
        return Promise(*[ONCE_OR_NEVER if is_in_hand else ONCE] * 2)


CELLS = [Cell(*values) for values in itertools.product(DIES, WHENS, HALVES, DELIVERIES)]


def choose(which: str) -> list[Cell]:
    return CELLS if which == FULL else choose_pairwise(CELLS)


def choose_pairwise(cells: Sequence[Cell]) -> list[Cell]:
    """Some of the cells, in which every value meets every other: each time the first that shows most new pairs."""
    missing = set().union(*map(pairs_of, cells))
    chosen = []
    while missing:
        best = max(cells, key=lambda cell: len(pairs_of(cell) & missing))
        chosen.append(best)
        missing -= pairs_of(best)
    return sorted(chosen, key=cells.index)


def pairs_of(cell: Cell) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    return set(itertools.combinations(cell._asdict().items(), 2))
