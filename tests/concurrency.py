"""Work on connections of its own, for tests that need two transactions at once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def in_thread(work: Callable[[], T]) -> "Future[T]":
    """Run `work` in a thread, that is on another connection, which is closed behind it."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(_closing, work)
    pool.shutdown(wait=False)
    return future


def elsewhere(work: Callable[[], T], seconds: float = 10) -> T:
    """The result of `work` on another connection; fails if it takes longer."""
    return in_thread(work).result(timeout=seconds)


def all_at_once(works: Sequence[Callable[[], T]], seconds: float = 60) -> list[T]:
    """Start every work at the same moment, each on its own connection."""
    barrier = threading.Barrier(len(works))

    def start(work: Callable[[], T]) -> T:
        barrier.wait(timeout=10)
        return work()

    futures = [in_thread(lambda work=work: start(work)) for work in works]  # type: ignore[misc]
    return [future.result(timeout=seconds) for future in futures]


@contextmanager
def held_open(work: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """`work` has run in a transaction of another connection that stays open; call what is yielded to commit it."""
    from django.db import transaction

    worked, go_on = threading.Event(), threading.Event()

    def run() -> None:
        with transaction.atomic():
            work()
            worked.set()
            assert go_on.wait(timeout=30)

    future = in_thread(run)

    def commit() -> None:
        go_on.set()
        future.result(timeout=10)

    try:
        while not worked.wait(timeout=0.05):
            if future.done():
                future.result()
        yield commit
    finally:
        commit()


def _closing(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connection.close()
