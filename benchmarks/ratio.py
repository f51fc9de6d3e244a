"""Sides measured in turn, their paired ratios, and the table these go into.

Absolute figures on a shared machine drift by a factor of two; the ratio of two sides measured
within the same second or so does not. So every round measures each side once, in alternating
order, and what counts is the median of the rounds' ratios.
"""

import statistics
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

HEAD = ["case", "ours", "against", "ratio: median (min to max)", "goal", "reached"]
T = TypeVar("T")

#: Each step does one call and yields how many records that was. What comes before the first yield is set-up.
Operation = Generator[int, None, None]


@dataclass(frozen=True)
class Goal:
    limit: float
    is_upper: bool = False

    def is_reached(self, value: float) -> bool:
        return value <= self.limit if self.is_upper else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.is_upper else '≥'} {self.limit:g}"


@dataclass(frozen=True)
class Row:
    """`ratios` are those of the rounds; where there is nothing to divide by, `theirs` is empty and they are `ours`."""

    case: str
    ours: Sequence[float]
    theirs: Sequence[float]
    ratios: Sequence[float]
    goal: Goal | None
    unit: str

    def cells(self) -> list[str]:
        middle = statistics.median(self.ratios)
        unit = "" if self.theirs else f" {self.unit}"
        verdict = "" if self.goal is None else "yes" if self.goal.is_reached(middle) else "NO"
        return [
            self.case,
            _amount(self.ours, self.unit),
            _amount(self.theirs, self.unit),
            f"**{middle:.2f}**{unit} ({min(self.ratios):.2f} to {max(self.ratios):.2f})",
            str(self.goal or ""),
            verdict,
        ]


def compare(
    case: str, ours: Sequence[float], theirs: Sequence[float], *, goal: Goal | None = None, unit: str = "/s"
) -> Row:
    """Round by round: the n-th of one side belongs to the n-th of the other."""
    return Row(case, ours, theirs, [our / their for our, their in zip(ours, theirs, strict=True)], goal, unit)


def measure(rounds: int, sides: Mapping[str, Callable[[], T]], *, warm_up: bool = True) -> dict[str, list[T]]:
    """What each side answered in each round. The warm-up is a round that does not count."""
    answers: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(-warm_up, rounds):
        for name in reversed(list(sides)) if number % 2 else sides:
            answer = sides[name]()
            if number >= 0:
                answers[name].append(answer)
    return answers


def run_operation(operation: Operation, *, stop: Callable[[], bool] = lambda: False) -> float:
    """Records a second, until it is exhausted or told to stop. The first step prepares it and does not count."""
    next(operation, 0)
    count, started = 0, time.perf_counter()
    for done in operation:
        count += done
        if stop():
            break
    return count / (time.perf_counter() - started)


def stop_after(seconds: float) -> Callable[[], bool]:
    """The seconds begin with the first look."""
    deadline = 0.0

    def is_over() -> bool:
        nonlocal deadline
        deadline = deadline or time.perf_counter() + seconds
        return time.perf_counter() > deadline

    return is_over


def format_table(rows: Sequence[Row]) -> str:
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _amount(values: Sequence[float], unit: str) -> str:
    if not values:
        return ""
    middle = statistics.median(values)
    return f"{middle:,.0f} {unit}" if middle >= 100 else f"{middle:.2f} {unit}"
