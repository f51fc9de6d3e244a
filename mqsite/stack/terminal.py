"""What the person at the terminal sees."""

import contextlib
import sys
import time
from collections.abc import Iterator


def say(text: str = "", *, end: str = "\n") -> None:
    """Nobody may be listening any more (a closed terminal, `bin/up | head`): no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        print(text, end=end, flush=True)


def complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"bin/up: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[list[str]]:
    """One line of progress: what, then how long it took and the remarks put into the list."""
    say(f"  {what} ... ", end="")
    remarks: list[str] = []
    began = time.monotonic()
    try:
        yield remarks
    except BaseException:
        say()
        raise
    say(", ".join([f"{time.monotonic() - began:.1f} s", *remarks]))
