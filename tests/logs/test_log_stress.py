"""Publishers, readers and upkeep at once, killed at random, and PostgreSQL with them: the log stays a log."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from mqsite.stack.servers import TemporaryServers
from tests.log_stress import EXPIRING, STOP_FILE, TOPICS, Journal
from tests.stress import Stress, stressed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PUBLISHERS = 4
READERS = 2
UPKEEPS = 2
RUN_SECONDS = 30.0
POSTGRES_KILLS = 2

Place = tuple[str, int]  # topic, partition
CREATE = """
import django
django.setup()
from logs import services
from tests.log_stress import EXPIRING, TOPICS
for name, partitions in TOPICS.items():
    configs = {"retention.bytes": 1_000} if name == EXPIRING else {}
    services.create_topic(name, owner="shop", partitions=partitions, configs=configs)
"""


class Log(NamedTuple):
    """What stands at the end."""

    starts: dict[Place, int]
    values: dict[Place, dict[int, str]]  # by offset
    keys: dict[Place, dict[int, str | None]]


class Batch(NamedTuple):
    """One batch of a publisher, over all its tries."""

    life: int
    sequence: int
    manner: str
    has_ids: bool
    tries: int
    records: list[tuple[str, int | None, str | None, str]]  # topic, partition, key, value
    answered: bool
    places: list[tuple[Place, int, bool]]  # where and "known before", per record of a direct publish


class LogStress(Stress):
    """Runs it all, and kills some of it."""

    module = "tests.log_stress"
    log_level = "ERROR"

    def run(self) -> None:
        self.create(CREATE)
        for n in range(READERS):
            self.start("reader", f"reader-{n}")
        for n in range(UPKEEPS):
            self.start("upkeep", f"upkeep-{n}")
        for n in range(PUBLISHERS):
            self.start("publisher", f"publisher-{n}")
        self.wreck()
        (self.folder / STOP_FILE).touch()
        for name in self.programs:
            self.assert_ended(name)

    def wreck(self) -> None:
        """Until the time is up a publisher dies about every second, and PostgreSQL now and then."""
        started = time.monotonic()
        wrecks = [RUN_SECONDS * (n + 1) / (POSTGRES_KILLS + 1) for n in range(POSTGRES_KILLS)]
        while (passed := time.monotonic() - started) < RUN_SECONDS:
            time.sleep(self.chance.uniform(0.5, 2.0))
            name = f"publisher-{self.chance.randrange(PUBLISHERS)}"
            self.programs[name].kill()
            if wrecks and passed > wrecks[0]:
                wrecks.pop(0)
                self.restart_postgres()
            self.start("publisher", name)


def test_the_log_is_what_all_were_told_whoever_dies(private_stack: TemporaryServers, tmp_path: Path, seed: int) -> None:
    with stressed(LogStress, private_stack, tmp_path, seed) as stress:
        stress.run()
        with stress.house.connect() as connection:
            log = read_log(connection)
            deadlocks = connection.execute("SELECT sum(deadlocks)::int FROM pg_stat_database").fetchone()
        batches = [batch for path in sorted(tmp_path.glob("*.publisher")) for batch in read_batches(path)]
        expired = sum(log.starts.values())
        print(f"{len(batches)} batches, {sum(map(len, log.values.values()))} records stand, {expired} have expired")
        assert_enough_happened(log, batches, tmp_path)
        assert [line for path in tmp_path.iterdir() for line in Journal.read(path) if line.get("does") == "fail"] == []
        assert deadlocks == (0,)
        assert_no_deadlock_was_logged(private_stack.postgres.log)
        assert_dense(log)
        assert_answers_were_true(log, batches)
        assert_nothing_is_stored_twice(log)
        assert_all_or_nothing(log, batches)
        assert_order_is_kept(log, batches)
        for path in sorted(tmp_path.glob("*.reader")):
            assert_reader_missed_nothing(log, path)


def read_log(connection: psycopg.Connection[Any]) -> Log:
    """By plain SQL, past everything that is on trial."""
    starts = connection.execute(
        "SELECT t.name, p.number, p.log_start FROM logs_partition p JOIN logs_topic t ON t.id = p.topic_id"
    ).fetchall()
    log = Log({(t, n): start for t, n, start in starts if t in TOPICS}, defaultdict(dict), defaultdict(dict))
    rows = connection.execute(
        "SELECT t.name, p.number, r.offset, convert_from(r.value, 'UTF8'), convert_from(r.key, 'UTF8') "
        "FROM logs_record r JOIN logs_partition p ON p.id = r.partition_id JOIN logs_topic t ON t.id = p.topic_id "
        "WHERE r.offset >= p.log_start ORDER BY t.name, p.number, r.offset"
    )
    for topic, number, offset, value, key in rows:
        if topic in TOPICS:
            assert offset not in log.values[topic, number], "an offset twice"
            log.values[topic, number][offset] = value
            log.keys[topic, number][offset] = key
    return log


def read_batches(path: Path) -> Iterator[Batch]:
    lines: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for line in Journal.read(path):
        lines[line.get("of", line["life"]), line["sequence"]].append(line)
    for (life, sequence), own in lines.items():
        tries = [line for line in own if line["does"] == "publish"]
        answers = [line for line in own if line["does"] == "answer"]
        first = tries[0]
        records = [(topic, partition, key, value) for topic, partition, key, value in first["batch"]]
        placed = answers[-1]["placed"] if answers else None
        places = [((records[0][0], number), offset, known) for number, offset, known in placed or []]
        yield Batch(life, sequence, first["manner"], first["ids"], len(tries), records, bool(answers), places)


def assert_enough_happened(log: Log, batches: list[Batch], folder: Path) -> None:
    """A proof of nothing would pass as well."""
    assert Counter(b.manner for b in batches if b.answered).keys() >= {"direct", "staged", "savepoint", "rolled back"}
    assert any(not b.answered for b in batches)
    assert any(b.tries > 1 for b in batches)
    assert max(log.starts[EXPIRING, n] for n in range(TOPICS[EXPIRING])) > 50
    for path in folder.glob("*.upkeep"):
        occupied = [set(line["occupied"]) for line in Journal.read(path) if line["does"] == "keep up"]
        assert any(before - after for before, after in pairwise(occupied)), "no segment was emptied"


def assert_no_deadlock_was_logged(log: Path) -> None:
    assert "deadlock detected" not in log.read_text(errors="replace")


def assert_dense(log: Log) -> None:
    for place, start in log.starts.items():
        offsets = list(log.values[place])
        assert offsets == list(range(start, start + len(offsets))), place


def standing(log: Log) -> dict[str, list[tuple[Place, int]]]:
    """Value to where it stands."""
    found: dict[str, list[tuple[Place, int]]] = defaultdict(list)
    for place, values in log.values.items():
        for offset, value in values.items():
            found[value].append((place, offset))
    return found


def assert_answers_were_true(log: Log, batches: list[Batch]) -> None:
    found = standing(log)
    assert "undone" not in found
    for batch in batches:
        values = [value for *_, value in batch.records]
        if batch.manner == "rolled back":
            assert not any(value in found for value in values), batch
        elif batch.answered:
            lost = [r for r in batch.records if r[0] != EXPIRING and r[3] not in found]
            assert not lost, batch
        for value, (place, offset, _) in zip(values, batch.places, strict=False):
            if offset >= log.starts[place]:
                assert log.values[place][offset] == value, batch


def assert_nothing_is_stored_twice(log: Log) -> None:
    """Values are unique, and ids are the values."""
    assert [value for value, places in standing(log).items() if len(places) > 1] == []


def assert_all_or_nothing(log: Log, batches: list[Batch]) -> None:
    found = standing(log)
    for batch in batches:
        there = {value in found for topic, _, _, value in batch.records if topic != EXPIRING}
        assert len(there) <= 1, batch
    for batch in batches:
        for topic, partition, _, value in batch.records:
            for place, _ in found.get(value, []):
                assert place == (topic, place[1] if partition is None else partition)


def assert_order_is_kept(log: Log, batches: list[Batch]) -> None:
    """Of one life of a publisher, within a partition, and so for each key. A retry may come later."""
    retried = {value for batch in batches if batch.tries > 1 for *_, value in batch.records}
    keys = {value: key for batch in batches for _, _, key, value in batch.records}
    partitions: dict[tuple[str, str], set[int]] = defaultdict(set)
    for place, values in log.values.items():
        newest: dict[str, tuple[int, int]] = {}
        for offset, value in values.items():
            name, life, sequence, number = value.split("/")
            assert log.keys[place][offset] == keys[value]
            if keys[value]:
                partitions[place[0], keys[value] or ""].add(place[1])
            if value in retried:
                continue
            order = (int(sequence), int(number))
            assert newest.get(f"{name}/{life}", (0, 0)) < order, (place, value)
            newest[f"{name}/{life}"] = order
    assert all(len(found) == 1 for found in partitions.values()), "a key stands in one partition"


def assert_reader_missed_nothing(log: Log, path: Path) -> None:
    """What it was given from offset 0 on is the log: without a hole but for what had expired."""
    by_place: dict[Place, list[dict[str, Any]]] = defaultdict(list)
    for line in Journal.read(path):
        by_place[line["topic"], line["partition"]].append(line)
    assert by_place.keys() == log.starts.keys()
    for place, lines in by_place.items():
        position = read_through(log, place, lines)
        assert position == max(log.values[place], default=log.starts[place] - 1) + 1, place
        assert lines[-1]["does"] == "end", place


def read_through(log: Log, place: Place, lines: Iterable[dict[str, Any]]) -> int:
    position = 0
    for line in lines:
        if line["does"] == "pass":
            assert place[0] == EXPIRING
            assert line["position"] == position < line["log_start"] <= log.starts[place]
            position = line["log_start"]
        elif line["does"] == "read":
            for offset, value in zip(line["offsets"], line["values"], strict=True):
                assert offset == position, (place, line)
                assert offset < log.starts[place] or log.values[place][offset] == value
                position += 1
    return position
