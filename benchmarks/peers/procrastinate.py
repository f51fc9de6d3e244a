"""Procrastinate: its asynchronous connector with a connection pool; one worker with so many jobs at once."""

import asyncio
import os

import procrastinate

from benchmarks.peers.line import PAYLOADS, Counted, measure_sends, serve

QUEUE = "benchmark"
LOAD = 1_000
JOBS = [{"payload": payload.decode()} for payload in PAYLOADS]
TABLES = "procrastinate_jobs, procrastinate_events"

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["PEER_DATABASE_URL"], min_size=4, max_size=12)
)
counted = Counted(1)


@app.task(name="noop", queue=QUEUE)
async def handle(payload: str) -> None:
    counted.note()


async def send(size: int) -> None:
    if size == 1:
        await handle.defer_async(**JOBS[0])
    else:
        await handle.batch_defer_async(*JOBS[:size])


async def send_for(size: int, seconds: float) -> float:
    return await measure_sends(lambda: send(size), size=size, seconds=seconds)


async def load(count: int) -> None:
    for first in range(0, count, LOAD):
        await send(min(LOAD, count - first))


async def work(count: int | None, concurrency: int) -> float:
    """None: until nothing is left, beside another worker."""
    global counted
    counted = Counted(concurrency)
    await app.run_worker_async(queues=[QUEUE], concurrency=concurrency, wait=False, install_signal_handlers=False)
    return counted.rate(count)


async def clear() -> None:
    await app.connector.execute_query_async(f"TRUNCATE {TABLES} CASCADE")


async def main() -> None:
    async with app.open_async():
        found = await app.connector.execute_query_one_async("SELECT to_regclass('procrastinate_jobs') AS found")
        if found["found"] is None:
            await app.schema_manager.apply_schema_async()
        await serve({"send": send_for, "load": load, "work": work, "clear": clear})


if __name__ == "__main__":
    asyncio.run(main())
