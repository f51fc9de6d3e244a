"""What may become of a worker that stands by, or of what the server knows of it: then errands are lost."""

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import redis

from tests.faults.cells import HALVES, OTHERS, QUEUE
from tests.house import SHRUNK_TIMINGS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.faults.matrix import Matrix

SWEEP_SECONDS = float(SHRUNK_TIMINGS["MQSITE_SWEEP_SECONDS"])
REACH_SECONDS = 30.0

Act = Callable[["Matrix", int], object]


def disturb(matrix: "Matrix") -> dict[str, float]:
    """How many seconds what came right after each of these took to be handled."""
    return {name: _disturb(matrix, name, act) for name, act in _ACTS.items()}


def _disturb(matrix: "Matrix", name: str, act: Act) -> float:
    pid = wait_until(lambda: _find_standing_by(matrix), REACH_SECONDS, "a worker stands by")
    act(matrix, pid)
    started = time.monotonic()
    for half in HALVES:
        matrix.send(half, OTHERS, f"standby-{name}")
    matrix.wait_settled([(OTHERS, half) for half in HALVES], REACH_SECONDS, f"{name} while it stands by")
    took = time.monotonic() - started
    if name == "stopped":
        os.kill(pid, signal.SIGCONT)
    return took


def _find_standing_by(matrix: "Matrix") -> int:
    """Whoever has just handled something stands by, for a moment; 0: it did not."""
    matrix.send(QUEUE, OTHERS, "standby")
    matrix.wait_settled([(OTHERS, QUEUE)], REACH_SECONDS, "to be handled")
    with _server(matrix) as server:
        found = server.zrevrange(f"{matrix.house.name}:standby", 0, 0)
    return int(found[0].decode().split(":")[1]) if found else 0


def _server(matrix: "Matrix") -> "redis.Redis":
    return redis.Redis.from_url(matrix.house.environment["REDIS_URL"])


def _flush(matrix: "Matrix", _: int) -> None:
    with _server(matrix) as server:
        server.flushall()


_ACTS: dict[str, Act] = {
    "killed": lambda _, pid: os.kill(pid, signal.SIGKILL),
    "stopped": lambda _, pid: os.kill(pid, signal.SIGSTOP),
    "forgotten": _flush,
}
