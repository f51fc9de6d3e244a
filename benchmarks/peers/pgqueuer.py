"""PGQueuer: asyncpg and uvloop as in its own benchmark; sends on one connection, the worker on a pool, in batches."""

import os

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.types import QueueExecutionMode
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.peers.line import PAYLOADS, Counted, measure_sends, serve

DSN = os.environ["PEER_DATABASE_URL"]
NAME = "noop"
LOAD = 1_000


async def main() -> None:
    connection = await asyncpg.connect(DSN)
    queries = Queries(AsyncpgDriver(connection))
    if not await queries.schema_is_installed():
        await queries.install()

    async def send(size: int) -> None:
        await queries.enqueue([NAME] * size, PAYLOADS[:size], [0] * size)

    async def send_for(size: int, seconds: float) -> float:
        return await measure_sends(lambda: send(size), size=size, seconds=seconds)

    async def load(count: int) -> None:
        for first in range(0, count, LOAD):
            await send(min(LOAD, count - first))

    async def work(count: int, batch: int) -> float:
        counted = Counted(batch)
        async with asyncpg.create_pool(DSN, min_size=2, max_size=4) as pool:
            worker = PgQueuer.from_asyncpg_pool(pool)

            @worker.entrypoint(NAME)
            async def handle(job: Job) -> None:
                counted.note()

            await worker.run(batch_size=batch, mode=QueueExecutionMode.drain)
        return counted.rate(count)

    async def clear() -> None:
        await queries.clear_queue()
        await queries.clear_queue_log()
        await queries.clear_statistics_log()

    await serve({"send": send_for, "load": load, "work": work, "clear": clear})


if __name__ == "__main__":
    uvloop.run(main())
