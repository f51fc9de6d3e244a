"""How fast the halves are, against what their PostgreSQL could do at best: `benchmarks/run --help`."""

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence

from benchmarks import consumers, log, queue
from benchmarks.options import Options, shrink
from benchmarks.report import STOPPED, Half, run_half

HALVES = {half.name: half for half in (log.HALF, queue.HALF, consumers.HALF)}


def main() -> int:
    arguments = parse_arguments()
    if arguments.half is None:
        return run_all(sys.argv[1:])
    half = HALVES[arguments.half]
    options = Options(arguments.rounds, arguments.standing or half.standing, arguments.seconds)
    if arguments.quick:
        options = shrink(options)
    return run_half(half, arguments.cases, options, is_toy=arguments.quick)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measures a half, or all one after the other, on servers of their own. Set TMPDIR to choose the "
        "disk: what stands and what expires need 10 GB. A complete run of one half takes the better part of an hour "
        "and writes its results: benchmarks/RESULTS.md for the log, benchmarks/QUEUE_RESULTS.md for the queue, "
        "benchmarks/CONSUMER_RESULTS.md for the consumers.",
        epilog=" ".join(f"Cases of the {half.name}: {', '.join(half.cases)}." for half in HALVES.values()),
    )
    parser.add_argument("half", nargs="?", choices=list(HALVES), help="which half (default: all)")
    parser.add_argument("cases", nargs="*", metavar="case", help="which of its cases (default: all)")
    parser.add_argument("--rounds", type=int, default=Options.rounds, metavar="N")
    parser.add_argument(
        "--standing",
        type=parse_sizes,
        metavar="N,N,N",
        help="how much stands in what is compared "
        + " and ".join(f"({half.name}: {format_sizes(half)})" for half in HALVES.values()),
    )
    parser.add_argument(
        "--seconds", type=float, default=Options.seconds, help="for each measurement of single calls (default 3)"
    )
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs; writes nothing")
    arguments = parser.parse_intermixed_args()
    cases = HALVES[arguments.half].cases if arguments.half else {}
    if unknown := [case for case in arguments.cases if case not in cases]:
        parser.error(f"the {arguments.half} has no case {unknown[0]!r}; it has {', '.join(cases)}")
    return arguments


def parse_sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def format_sizes(half: Half) -> str:
    return ",".join(f"{size:_}" for size in half.standing)


def run_all(options: Sequence[str]) -> int:
    """One after the other, unless the first is stopped. The worse exit code."""
    codes = list[int]()
    for name in HALVES:
        codes.append(run_apart(name, options))
        if codes[-1] == STOPPED:
            break
    return max(codes)


def run_apart(half: str, options: Sequence[str]) -> int:
    """In a process of its own, since Django is set up once in each. Its exit code; signals are left to it."""
    child = subprocess.Popen([sys.executable, "-m", "benchmarks", half, *options])
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        try:
            return abs(child.wait())
        except KeyboardInterrupt:
            continue  # it was told as well, and cleans up


if __name__ == "__main__":
    sys.exit(main())
