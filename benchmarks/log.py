"""How fast the log is, against what its PostgreSQL could do at best: `benchmarks/run --help`."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.house import describe_setting, run_house
from benchmarks.options import Options, shrink
from benchmarks.ratio import Row, format_table
from mqsite.stack.errors import StackError

RESULTS = Path(__file__).parent / "RESULTS.md"
# By name, since Django is set up only when the servers run.
CASES = {
    "batches": "benchmarks.log_rates.measure_batches",
    "keys": "benchmarks.log_rates.measure_keys",
    "singles": "benchmarks.log_rates.measure_singles",
    "producers": "benchmarks.log_rates.measure_producers",
    "transactions": "benchmarks.log_rates.measure_transactions",
    "fetch": "benchmarks.log_rates.measure_fetch",
    "standing": "benchmarks.log_life.measure_standing",
    "snapshot": "benchmarks.log_life.measure_snapshot",
    "expiry": "benchmarks.log_life.measure_expiry",
    "waking": "benchmarks.log_life.measure_waking",
    "commits": "benchmarks.log_members.measure_commits",
    "sharing": "benchmarks.log_members.measure_sharing",
    "churned": "benchmarks.log_members.measure_churned_commits",
    "resets": "benchmarks.log_members.measure_resets",
    "lag": "benchmarks.log_groups.measure_lag",
}
EXPLANATION = """\
Both sides of a case are measured in every round, one after the other and in alternating order; the ratio is
the median of the rounds' own ratios. `ours` and `against` are medians, and on a shared machine they drift:
trust the ratios. What exactly is measured is said in `benchmarks/log_rates.py`, `log_life.py`, `log_members.py` and
`log_groups.py`."""


def main() -> int:
    arguments = parse_arguments()
    options = Options(arguments.rounds, arguments.standing, arguments.seconds)
    if arguments.quick:
        options = shrink(options)
    try:
        with run_house():
            setting = describe_setting()
            rows = measure_cases(arguments.cases or list(CASES), options)
    except KeyboardInterrupt:
        print("benchmarks/run: stopped.", file=sys.stderr)
        return 130
    except StackError as error:
        print(f"benchmarks/run: {error}", file=sys.stderr)
        return 1
    text = format_report(setting, options, rows)
    print(text)
    if not arguments.quick and not arguments.cases:  # a part, or a toy, must not take the place of the whole
        RESULTS.write_text(text)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measures the log on a PostgreSQL of its own. Set TMPDIR to choose the disk: what stands and what "
        "expires need 10 GB. A complete run takes the better part of an hour and writes benchmarks/RESULTS.md.",
    )
    parser.add_argument("cases", nargs="*", metavar="case", help=f"which (default: all of {', '.join(CASES)})")
    parser.add_argument("--rounds", type=int, default=Options.rounds, metavar="N")
    parser.add_argument(
        "--standing",
        type=parse_sizes,
        default=Options.standing,
        metavar="N,N,N",
        help="how many records stand in the topics compared (default 10_000,1_000_000,10_000_000)",
    )
    parser.add_argument(
        "--seconds", type=float, default=Options.seconds, help="for each measurement of single publishes (default 3)"
    )
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs; writes nothing")
    arguments = parser.parse_args()
    if unknown := [case for case in arguments.cases if case not in CASES]:
        parser.error(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    return arguments


def parse_sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def measure_cases(names: Sequence[str], options: Options) -> list[Row]:
    """Rows as they come also go to stderr."""
    from django.utils.module_loading import import_string

    rows = []
    for name in names:
        started = time.monotonic()
        case: Callable[[Options], Iterator[Row]] = import_string(CASES[name])
        for row in case(options):
            rows.append(row)
            print("  ".join(cell for cell in row.cells() if cell), file=sys.stderr)
        print(f"({name}: {time.monotonic() - started:.0f} s)", file=sys.stderr)
    return rows


def format_report(setting: Sequence[str], options: Options, rows: Sequence[Row]) -> str:
    standing = ",".join(f"{size:_}" for size in options.standing)
    command = f"benchmarks/run --rounds {options.rounds} --standing {standing} --seconds {options.seconds:g}"
    parts = [
        "# How fast the log is",
        f"`{command}`",
        EXPLANATION,
        "\n".join(f"- {sentence}" for sentence in setting),
        format_table(rows),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
