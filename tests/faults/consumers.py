"""The handlers: a row in the database, an effect outside of it, and a place to stop in between."""

import os
import time
from pathlib import Path

from django.db import connection

from logs.handlers import subscribe
from logs.rows import Record
from mqsite.handling import TRANSACTION
from queues.handlers import handle
from queues.rows import Message
from tests.faults.cells import LOG, OTHERS, OUTSIDE_FILE, SHUTDOWN
from tests.faults.messaging import CELLS, GROUP, QUEUES, TOPICS

STOPPED_SECONDS = 60.0
LOOK_SECONDS = 0.01


def work(item: Record | Message) -> None:
    folder, name = Path(os.environ["FAULTS_FOLDER"]), item.text or ""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO fault_row VALUES (%s)", [name])
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


for _cell in CELLS:
    if _cell.half == LOG:
        subscribe(GROUP, TOPICS[str(_cell)], delivery=_cell.delivery)(work)
    else:
        handle(QUEUES[str(_cell)], delivery=_cell.delivery)(work)
for _name in (OTHERS, SHUTDOWN):
    subscribe(GROUP, TOPICS[_name], delivery=TRANSACTION)(work)
    handle(QUEUES[_name], delivery=TRANSACTION)(work)
