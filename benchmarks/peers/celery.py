"""Celery: a no-op task without a result. The worker is the module's `app`; what it handles it stamps.

It acknowledges before it handles and fetches far ahead, as Celery's guide advises for many short tasks.
"""

import asyncio
import os
import time

from celery import Celery

from benchmarks import stamps
from benchmarks.peers.line import PAYLOADS, measure_sends, serve

app = Celery("peer", broker=os.environ["PEER_BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    task_default_queue="peer",
    worker_prefetch_multiplier=128,
    broker_connection_retry_on_startup=True,
)
PADDING = PAYLOADS[0].decode()


@app.task(name="noop")
def noop(sent: float, padding: str) -> None:
    stamps.note(sent)


async def send() -> None:
    noop.delay(time.monotonic(), PADDING)


async def send_for(size: int, seconds: float) -> float:
    """One by one: there is no batch."""
    return await measure_sends(send, size=size, seconds=seconds)


async def load(count: int) -> None:
    for _ in range(count):
        await send()


async def send_steadily(rate: float, count: int) -> None:
    started = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        await send()


async def clear() -> None:
    app.control.purge()


if __name__ == "__main__":
    asyncio.run(serve({"send": send_for, "load": load, "steady": send_steadily, "clear": clear}))
