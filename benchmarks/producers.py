"""Producers in processes of their own, started once and then told what to do."""

import contextlib
import ctypes
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.ratio import Operation, run_operation
from mqsite.memory import freeze_startup

END_SECONDS = 10

#: An operation with its arguments. It travels by name, so the child imports it once Django is set up.
Order = partial[Operation]


class Producers:
    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share database connections
        self._stop = context.RawValue(ctypes.c_bool, False)
        self._links: list[Connection] = []
        self._children = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            child = context.Process(target=work, args=(theirs, self._stop), daemon=True)
            child.start()
            theirs.close()  # so that each side reads an end of file when the other is gone
            self._links.append(ours)
            self._children.append(child)

    def run(self, orders: Sequence[Order], meanwhile: Callable[[], object]) -> float:
        """Records a second of all together, while `meanwhile` runs."""
        links = self._start(orders)
        meanwhile()
        self._stop.value = True
        return sum(link.recv() for link in links)

    def run_for(self, orders: Sequence[Order], seconds: float) -> float:
        return self.run(orders, lambda: time.sleep(seconds))

    def run_out(self, orders: Sequence[Order]) -> float:
        """Records a second of all together, until each has come to its end."""
        return sum(link.recv() for link in self._start(orders))

    def _start(self, orders: Sequence[Order]) -> list[Connection]:
        links = self._links[: len(orders)]
        self._stop.value = False
        for link, each in zip(links, orders, strict=True):
            link.send(each)
        for link in links:
            link.recv()  # ready
        for link in links:
            link.send(None)
        return links

    def close(self) -> None:
        self._stop.value = True
        for link in self._links:
            link.close()
        for child in self._children:
            child.join(END_SECONDS)
            child.kill()


@contextlib.contextmanager
def start_producers(count: int) -> Iterator[Producers]:
    producers = Producers(count)
    try:
        yield producers
    finally:
        producers.close()


def work(link: Connection, stop: Any) -> None:
    """The child: an order, ready, go, the rate; until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells us
    import django

    django.setup()
    freeze_startup()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            operation: Operation = link.recv()()
            next(operation, 0)  # connects; a queue may be empty already
            link.send("ready")
            link.recv()
            rate = run_operation(operation, stop=lambda: stop.value)
            operation.close()  # a member leaves its group
            link.send(rate)
