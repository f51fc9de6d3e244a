"""The processes of the log's stress test: `python -m tests.log_stress ROLE FOLDER NAME SEED`.

Each writes what it does to files of its own, a line at a time, straight to the kernel: a process that is
killed has written all that it had done.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import django

TOPICS = {"kept": 8, "also-kept": 8, "short-lived": 8}  # name to partitions
EXPIRING = "short-lived"
STOP_FILE = "stop"
IDS = 0.3  # of batches have ids
RETRY_SECONDS = 0.05
TRAILING_SECONDS = 0.5


class Journal:
    """Lines of JSON. Whoever reads one whose writer was killed may find the last line cut off."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, **facts: Any) -> None:
        os.write(self.file, (json.dumps(facts) + "\n").encode())

    @staticmethod
    def read(path: Path) -> Iterator[dict[str, Any]]:
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                yield json.loads(line)
            except ValueError:  # cut off, and the next life began on the same line
                continue


class Publisher:
    """Publishes at random: directly, in transactions, rolled back, with savepoints, with ids."""

    def __init__(self, folder: Path, name: str, seed: int) -> None:
        path = folder / f"{name}.publisher"
        self.open_batches = _unanswered(path)
        self.life = 1 + max((line["life"] for line in Journal.read(path)), default=0)
        self.journal = Journal(path)
        os.write(self.journal.file, b"\n")  # ends what a killed life may have cut off
        self.name, self.chance = name, random.Random(f"{seed} {name} {self.life}")
        self.sequence = 0

    def run(self, stopped: Callable[[], bool]) -> None:
        for batch in self.open_batches:
            if batch["ids"] and not stopped():  # nobody knows whether it was stored: once more under the same ids
                self._publish({**batch, "retry": True})
        while not stopped():
            batch = self._make()
            self._publish(batch)
            while batch["ids"] and self.unknown and not stopped():
                self._publish({**batch, "retry": True})

    def _make(self) -> dict[str, Any]:
        manner = self.chance.choice(["direct", "direct", "staged", "savepoint", "rolled back"])
        with_ids = self.chance.random() < IDS
        records = [self._record() for _ in range(self.chance.randint(1, 8))]
        if manner == "direct":
            topic = records[0][0]
            records = [(topic, partition, key) for _, partition, key in records]
        self.sequence += 1
        values = [f"{self.name}/{self.life}/{self.sequence}/{n}" for n in range(len(records))]
        batch = [[*record, value] for record, value in zip(records, values, strict=True)]
        return {"life": self.life, "sequence": self.sequence, "manner": manner, "ids": with_ids, "batch": batch}

    def _record(self) -> tuple[str, int | None, str | None]:
        """Topic, partition, key."""
        topic = self.chance.choice(list(TOPICS))
        if self.chance.random() < 0.5:
            return topic, None, f"key {self.chance.randrange(20)}"
        return topic, self.chance.randrange(TOPICS[topic]), None

    def _publish(self, batch: dict[str, Any]) -> None:
        from django.db import InterfaceError, OperationalError, close_old_connections

        self.journal.note(**batch, does="publish")
        self.unknown = True
        work = _publish_directly if batch["manner"] == "direct" else _publish_in_a_transaction
        facts = {"life": self.life, "sequence": batch["sequence"], "of": batch["life"]}
        try:
            placed = work(batch, self.chance)
        except (OperationalError, InterfaceError) as error:
            if not is_loss(error):
                self.journal.note(**facts, does="fail", error=repr(error))
            close_old_connections()
            time.sleep(RETRY_SECONDS)  # the server is away
        except Exception as error:
            self.journal.note(**facts, does="fail", error=repr(error))
        else:
            self.unknown = False
            self.journal.note(**facts, does="answer", placed=placed)


def _unanswered(path: Path) -> list[dict[str, Any]]:
    batches: dict[tuple[int, int], dict[str, Any]] = {}
    for line in Journal.read(path):
        if line.pop("does") == "publish":
            batches[line["life"], line["sequence"]] = line
        elif "placed" in line:
            batches.pop((line["of"], line["sequence"]), None)
    return list(batches.values())


def _new_records(batch: dict[str, Any], topic: str) -> list[Any]:
    from logs.services import NewRecord

    return [
        NewRecord(value, key=key, partition=partition, id=value if batch["ids"] else None)
        for of, partition, key, value in batch["batch"]
        if of == topic
    ]


def _publish_directly(batch: dict[str, Any], chance: random.Random) -> list[Any] | None:
    from logs import services

    topic = batch["batch"][0][0]
    return services.publish_many(topic, _new_records(batch, topic), boundary="shop")


def _publish_in_a_transaction(batch: dict[str, Any], chance: random.Random) -> list[Any] | None:
    from django.db import transaction

    from logs import services

    class Undone(Exception):
        pass

    try:
        with transaction.atomic():
            topics = list(dict.fromkeys(record[0] for record in batch["batch"]))
            for topic in chance.sample(topics, len(topics)):
                services.publish_many(topic, _new_records(batch, topic), boundary="shop")
                if batch["manner"] == "savepoint":
                    try:
                        with transaction.atomic():
                            services.publish(topic, "undone", key="undone", boundary="shop")
                            raise Undone
                    except Undone:
                        pass
                time.sleep(chance.random() / 500)  # not a wait: it makes the transactions overlap
            if batch["manner"] == "rolled back":
                raise Undone
    except Undone:
        pass
    return None


class Tail:
    """Follows one partition from offset 0 on and notes all that it is given."""

    def __init__(self, journal: Journal, topic: str, partition: int) -> None:
        self.journal, self.topic, self.partition, self.position = journal, topic, partition, 0

    def run(self, stopped: Callable[[], bool]) -> None:
        """On to the log end, even once it is told to stop."""
        from django.db import InterfaceError, OperationalError, close_old_connections

        while True:
            last_look = stopped()
            try:
                while self._read():
                    pass
            except (OperationalError, InterfaceError) as error:
                if not is_loss(error):
                    self._note(does="fail", error=repr(error))
                close_old_connections()
                time.sleep(RETRY_SECONDS)
                continue
            except Exception as error:
                self._note(does="fail", error=repr(error))
                return
            if last_look:
                self._note(does="end", position=self.position)
                return

    def _read(self) -> bool:
        from logs import services
        from logs.errors import OffsetOutOfRange

        try:
            got = services.fetch(
                self.topic, self.partition, self.position, max_records=200, wait_seconds=TRAILING_SECONDS
            )
        except OffsetOutOfRange as refused:
            if self.position >= refused.facts["log_start"]:
                raise
            self._note(does="pass", position=self.position, log_start=refused.facts["log_start"])
            self.position = refused.facts["log_start"]
            return True
        if got:
            self._note(does="read", offsets=[r.offset for r in got], values=[r.text for r in got])
            self.position = got[-1].offset + 1
        return bool(got)

    def _note(self, **facts: Any) -> None:
        self.journal.note(topic=self.topic, partition=self.partition, **facts)


def run_reader(folder: Path, name: str, stopped: Callable[[], bool]) -> None:
    journal = Journal(folder / f"{name}.reader")
    tails = [Tail(journal, topic, number) for topic, count in TOPICS.items() for number in range(count)]
    threads = [threading.Thread(target=partial(tail.run, stopped)) for tail in tails]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_upkeep(folder: Path, name: str, seed: int, stopped: Callable[[], bool]) -> None:
    """Rolls all topics again and again; expires one of them by size, and by hand; alters them."""
    from django.db import InterfaceError, OperationalError, close_old_connections

    from logs import services, store
    from logs.services import upkeep

    upkeep.SHARED_RECORDS, upkeep.SEGMENT_RECORDS = 100, 150
    journal, chance = Journal(folder / f"{name}.upkeep"), random.Random(f"{seed} {name}")
    while not stopped():
        try:
            services.run_upkeep(seconds=2)
            if chance.random() < 0.2:
                services.delete_records(EXPIRING, {chance.randrange(TOPICS[EXPIRING]): -1}, actor="stress")
            if chance.random() < 0.1:
                configs = {"index.keys": chance.random() < 0.5}
                services.alter_topic(chance.choice(list(TOPICS)), configs=configs, actor="stress")
            journal.note(does="keep up", occupied=store.occupied_segments(using="default"))
        except (OperationalError, InterfaceError) as error:
            if not is_loss(error):
                journal.note(does="fail", error=repr(error))
            close_old_connections()
            time.sleep(RETRY_SECONDS)
        except Exception as error:
            journal.note(does="fail", error=repr(error))


def is_loss(error: Exception) -> bool:
    """Of the connection: PostgreSQL was killed, or is not up again yet. Errors that the server sends have a state."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(("08", "57P"))


def main(role: str, folder: str, name: str, seed: str) -> None:
    django.setup()
    place = Path(folder)
    stopped = (place / STOP_FILE).exists
    if role == "publisher":
        Publisher(place, name, int(seed)).run(stopped)
    elif role == "reader":
        run_reader(place, name, stopped)
    else:
        run_upkeep(place, name, int(seed), stopped)


if __name__ == "__main__":
    main(*sys.argv[1:])
