"""A peer's side of the talk: a JSON object a line in, one a line out, until the end of the input."""

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

PAYLOADS = [(b'{"event": "OrderPlaced", "number": %d, "note": "' % n).ljust(248, b"x") + b'"}' for n in range(1000)]

Command = Callable[..., Awaitable[object]]


async def serve(commands: Mapping[str, Command]) -> None:
    """`{"do": name, **arguments}` is answered by `{"answer": ...}` or `{"error": ...}`."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints
    while line := await asyncio.to_thread(sys.stdin.readline):
        request: dict[str, Any] = json.loads(line)
        try:
            answer = {"answer": await commands[request.pop("do")](**request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


async def measure_sends(send: Callable[[], Awaitable[object]], *, size: int, seconds: float) -> float:
    """Jobs a second of calls that send `size` each. The first one does not count."""
    await send()
    count, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        await send()
        count += size
    return count / (time.perf_counter() - started)


class Counted:
    """Jobs a second of a worker, without its first batch: from the end of that to the end of the last one."""

    def __init__(self, batch: int) -> None:
        self.batch, self.count = batch, 0
        self.first = self.last = 0.0

    def note(self) -> None:
        self.last = time.perf_counter()
        self.count += 1
        if self.count == self.batch:
            self.first = self.last

    def rate(self, expected: int | None) -> float:
        """None: as many as came, beside another worker."""
        if self.count != (expected or self.count) or self.count <= self.batch:
            raise RuntimeError(f"{self.count} jobs were handled, {expected} expected, in batches of {self.batch}")
        return (self.count - self.batch) / (self.last - self.first)
