"""The handlers: a row in the database, an effect outside of it, and a place to stop in between."""

import os
import time
from pathlib import Path

from django.db import connection

from logs.handlers import subscribe
from logs.rows import Record
from mqsite.handling import AT_LEAST_ONCE, TRANSACTION, Handler
from queues.handlers import handle
from queues.rows import Message
from tests.faults.cells import LOG, OTHERS, OUTSIDE_FILE, SHUTDOWN, Cell
from tests.faults.messaging import CELLS, GROUP, QUEUES, TOPICS

STOPPED_SECONDS = 60.0
LOOK_SECONDS = 0.01


def work(item: Record | Message) -> None:
    folder, name = Path(os.environ["FAULTS_FOLDER"]), item.text or ""
    with connection.cursor() as cursor:
        told = "INSERT INTO fault_row VALUES (%s, extract(epoch FROM clock_timestamp()) - %s)"
        cursor.execute(told, [name, time.time()])
    stop_once(folder, name)
    with (folder / OUTSIDE_FILE).open("a") as file:
        file.write(f"{name}\n")


def stop_once(folder: Path, name: str) -> None:
    """Where the test wants to find somebody at work: whoever takes over does not stop."""
    session = connection.connection.info.backend_pid
    try:
        (folder / f"{name}.stop").rename(folder / f"{name}.stopped.{os.getpid()}.{session}")
    except FileNotFoundError:
        return
    deadline = time.monotonic() + STOPPED_SECONDS
    while not (folder / f"{name}.go").exists() and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def handler_of(cell: Cell) -> Handler:
    """A function of its own: limits count by its name."""

    def handler(item: Record | Message) -> None:
        work(item)

    handler.__qualname__ = str(cell)
    return handler


for _cell in CELLS:
    _concurrency = 1 if _cell.delivery == AT_LEAST_ONCE else None  # a dead worker's slot must come free as well
    if _cell.half == LOG:
        subscribe(GROUP, TOPICS[str(_cell)], delivery=_cell.delivery, concurrency=_concurrency)(handler_of(_cell))
    else:
        handle(QUEUES[str(_cell)], delivery=_cell.delivery, concurrency=_concurrency)(handler_of(_cell))
for _name in (OTHERS, SHUTDOWN):
    subscribe(GROUP, TOPICS[_name], delivery=TRANSACTION)(work)
    handle(QUEUES[_name], delivery=TRANSACTION)(work)
