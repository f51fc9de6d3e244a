"""A half of the benchmark: its cases run one after the other, and the table they end in."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.house import NotHere, describe_setting, run_house
from benchmarks.options import Options
from benchmarks.ratio import Row, format_table
from mqsite.stack.errors import StackError

STOPPED = 130


@dataclass(frozen=True)
class Half:
    """`cases` lead to functions by name, since Django is set up only when the servers run."""

    name: str
    title: str
    explanation: str
    cases: Mapping[str, str]
    results: Path
    standing: tuple[int, ...]


def run_half(half: Half, names: Sequence[str], options: Options, *, is_toy: bool) -> int:
    """The exit code. Results are written only when all of the half was measured, and in earnest."""
    try:
        with run_house():
            setting = describe_setting()
            rows, missing = measure_cases(half, names or list(half.cases), options)
    except KeyboardInterrupt:
        print("benchmarks/run: stopped.", file=sys.stderr)
        return STOPPED
    except StackError as error:
        print(f"benchmarks/run: {error}", file=sys.stderr)
        return 1
    text = format_report(half, setting, options, rows, missing)
    print(text)
    for sentence in missing:
        print(f"NOT MEASURED: {sentence}", file=sys.stderr)
    if not (is_toy or names or missing):  # a part, or a toy, must not take the place of the whole
        half.results.write_text(text)
    return 1 if missing else 0


def measure_cases(half: Half, names: Sequence[str], options: Options) -> tuple[list[Row], list[str]]:
    """The rows, which as they come also go to stderr; and a sentence for each case that lacks what it needs."""
    from django.utils.module_loading import import_string

    rows, missing = list[Row](), list[str]()
    for name in names:
        started = time.monotonic()
        case: Callable[[Options], Iterator[Row]] = import_string(half.cases[name])
        try:
            for row in case(options):
                rows.append(row)
                print("  ".join(cell for cell in row.cells() if cell), file=sys.stderr)
        except NotHere as reason:
            missing.append(f"{half.name} {name}: {reason}")
            print(f"NOT MEASURED: {missing[-1]}", file=sys.stderr)
        print(f"({name}: {time.monotonic() - started:.0f} s)", file=sys.stderr)
    return rows, missing


def format_report(
    half: Half, setting: Sequence[str], options: Options, rows: Sequence[Row], missing: Sequence[str]
) -> str:
    standing = ",".join(f"{size:_}" for size in options.standing)
    numbers = f"--rounds {options.rounds} --standing {standing} --seconds {options.seconds:g}"
    parts = [
        f"# {half.title}",
        f"`benchmarks/run {half.name} {numbers}`",
        half.explanation,
        "\n".join(f"- {sentence}" for sentence in setting),
        format_table(rows),
    ]
    if missing:
        parts.append("**Not measured:**\n\n" + "\n".join(f"- {sentence}" for sentence in missing))
    return "\n\n".join(parts) + "\n"
