"""Ten thousand topics: no statement takes a step more, and all of it goes through pg_dump and back."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from logs import selectors, services, store
from logs.models import Partition, Record, Topic
from logs.rows import Batch
from logs.services import NewRecord, upkeep
from mqsite.arrays import ByteaArray, Int8Array
from mqsite.boundaries import ensure_boundary
from mqsite.stack.placement import find_programs
from tests.house import PROJECT, replace_path
from tests.plans import counting_reads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

TOPICS = 10_000


def create_topics(count: int) -> list[int]:
    """Topics with one partition and one record each; partition ids."""
    revision, owner = uuid.uuid4(), ensure_boundary("shop", using="default")
    topics = [Topic(name=f"topic-{n}", owner=owner, revision=revision) for n in range(count)]
    Topic.objects.bulk_create(topics)
    partitions = [Partition(topic=topic, number=0, revision=revision) for topic in topics]
    ids = [p.id for p in Partition.objects.bulk_create(partitions)]
    values: list[bytes | None] = [b"first"] * count
    store.append(
        Batch(ids, [1] * count, None, ByteaArray(values), None, None, Int8Array([5] * count), None, None),
        revision=revision,
        using="default",
    )
    return ids


def steps(what: Callable[[], object]) -> tuple[int, int]:
    """Sequential and index scans of what grows with the topics."""
    with counting_reads("logs_topic", "logs_partition", "logs_record_s0") as reads:
        what()
    return reads[0][:2]


def test_nothing_on_the_way_of_a_record_grows_with_the_number_of_topics() -> None:
    def publish(topic: str) -> object:
        return services.publish(topic, "x", boundary="shop")

    def publish_once(topic: str) -> object:
        return services.publish(topic, "y", id="a", boundary="shop")

    def fetch(topic: str) -> object:
        return services.fetch(topic, 0, 0)

    doings: list[Callable[[str], object]] = [publish, publish_once, fetch, selectors.bounds]
    create_topics(1)
    few = [steps(lambda do=do: do("topic-0")) for do in doings]  # type: ignore[misc]
    services.delete_topic("topic-0", actor="test")
    create_topics(TOPICS)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    many = [steps(lambda do=do: do("topic-7777")) for do in doings]  # type: ignore[misc]
    for (few_seq, few_index), (many_seq, many_index) in zip(few, many, strict=True):
        assert many_seq == 0
        assert many_index <= few_seq + few_index


def test_upkeep_of_ten_thousand_topics_is_a_walk_over_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PAGE_PARTITIONS", 3_000)
    create_topics(TOPICS)
    sequential, indexed = steps(services.apply_retention)
    assert sequential < 100
    assert indexed < 8 * TOPICS
    services.delete_records("topic-7777", {0: -1}, actor="test")
    services.run_upkeep()
    assert Record.objects.count() == TOPICS - 1


@pytest.fixture
def restored() -> Iterator[str]:
    """The address of an empty database."""
    name, server = f"restored_{os.getpid()}", os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield replace_path(server, name)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


GO_ON = """
import json
import django
django.setup()
from logs import selectors, services
from logs.services import upkeep

def publish(topic, value, **options):
    return services.publish(topic, value, boundary="shop", **options)

upkeep.SEGMENT_RECORDS = 2
bounds = selectors.bounds("topic-1")[0][2:]
records = [(r.offset, r.text) for r in services.read_records("topic-1")]
position = services.acquire_partition("billing", "topic-1", 0, member="a").position
placed = [publish("topic-1", "next"), publish("topic-1", "6", id="6"), publish("topic-9999", "next")]
services.run_upkeep()
placed += [publish("topic-1", "in the next segment")]
end = services.fetch("topic-1", 0, 12) + services.fetch("topic-1", 0, 13)
print(json.dumps([bounds, records, position, placed, [r.text for r in end]]))
"""


def test_a_dump_of_all_of_it_restores_into_a_log_that_goes_on(restored: str, tmp_path: Path) -> None:
    create_topics(TOPICS)
    move_to_the_next_segment("topic-1")
    services.publish_many("topic-1", [NewRecord(str(n), id=str(n)) for n in range(10)], boundary="shop")
    move_to_the_next_segment("topic-1")
    services.publish("topic-1", "newest", boundary="shop")
    services.delete_records("topic-1", {0: 3}, actor="test")
    services.create_group("billing", owner="billing", topics=["topic-1"])
    dump = tmp_path / "dump.sql"
    run("pg_dump", "--file", str(dump), replace_path(os.environ["DATABASE_URL"], str(connection.settings_dict["NAME"])))
    run("psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(dump), restored)
    assert go_on_in(restored) == [
        list(selectors.bounds("topic-1")[0][2:]),
        [[r.offset, r.text] for r in services.read_records("topic-1")],
        3,
        [[0, 12, False], [0, 7, True], [0, 1, False], [0, 13, False]],
        ["next", "in the next segment"],
    ]


def move_to_the_next_segment(topic: str) -> None:
    located = store.locate(topic, using="default")
    assert located
    segment = Partition.objects.get(pk=located.partition_ids[0]).segment
    while store.roll(located.topic_id, from_segment=segment, using="default") is None:
        assert store.add_segment(limit=upkeep.MAX_SEGMENTS, using="default")


def run(program: str, *args: str) -> None:
    command = [str(find_programs() / program), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env={"LC_ALL": "C"})
    assert done.returncode == 0, done.stderr


def go_on_in(url: str) -> Any:
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "mqsite.settings"}
    command = [sys.executable, "-c", GO_ON]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env=environment, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
