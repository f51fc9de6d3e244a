"""The raw limits: plain INSERTs into a table equal to the queue's, and the shape of pgmq's statements.

Plain psycopg, prepared and binary. The rows of the plain table are the queue's own, read back, so both sides
follow whatever the queue's table becomes.
"""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb, set_json_loads

from benchmarks import queue_calls
from benchmarks.house import connect
from benchmarks.log_calls import steps
from benchmarks.queue_calls import PAYLOADS
from benchmarks.ratio import Operation
from queues import services
from queues.models import Message, Queue

PLAIN = "bench_plain_message"
PGMQ = "bench_pgmq"
PGMQ_LEASE_SECONDS = 30

# pgmq as it creates a queue, sends a batch, reads and deletes: without its functions, its format() and its poll.
PGMQ_CREATE = f"""
CREATE TABLE {PGMQ} (
    msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, read_ct int NOT NULL DEFAULT 0,
    enqueued_at timestamptz NOT NULL DEFAULT now(), vt timestamptz NOT NULL, message jsonb, headers jsonb);
CREATE INDEX ON {PGMQ} (vt)"""
PGMQ_SEND = f"""
INSERT INTO {PGMQ} (vt, message) SELECT clock_timestamp(), unnest(%b::jsonb[]) RETURNING msg_id"""
PGMQ_READ = f"""
WITH found AS (SELECT msg_id FROM {PGMQ} WHERE vt <= clock_timestamp() ORDER BY msg_id LIMIT %b FOR UPDATE SKIP LOCKED)
UPDATE {PGMQ} m SET vt = clock_timestamp() + make_interval(secs => %b), read_ct = read_ct + 1
FROM found WHERE m.msg_id = found.msg_id
RETURNING m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message, m.headers"""
PGMQ_DELETE = f"""
DELETE FROM {PGMQ} WHERE msg_id = ANY (%b) RETURNING msg_id"""


class Sample(NamedTuple):
    """Rows as the queue writes them, by column. What is null in all of them is left out."""

    types: dict[str, str]
    like_id: list[str]  # equal to the id in every row
    same: dict[str, Any]  # the same in every row
    own: dict[str, list[Any]]  # different from row to row


def make_plain_table() -> None:
    """The queue's columns with a primary key and nothing else: no other index, and pages filled up."""
    with connect() as connection:
        connection.execute(f"DROP TABLE IF EXISTS {PLAIN}; DROP SEQUENCE IF EXISTS {PLAIN}_seq".encode())
        connection.execute(f"CREATE SEQUENCE {PLAIN}_seq".encode())
        connection.execute(
            f"CREATE TABLE {PLAIN} (LIKE {Message._meta.db_table} INCLUDING STORAGE INCLUDING COMPRESSION, "
            "PRIMARY KEY (id))".encode()
        )


def insert_batches(sample: str, size: int, *, calls: int | None = None) -> Operation:
    """INSERT ... SELECT unnest of `size` rows and its commit."""
    found = read_sample(sample)
    own = {name: values[:size] for name, values in found.own.items()}
    arrays = ", ".join(f"%({name})b::{found.types[name]}[]" for name in own)
    text = _insert(found, f"FROM unnest({arrays}) u({', '.join(own)})", {name: f"u.{name}" for name in own})
    with _cursor() as cursor:
        for _ in steps(calls):
            cursor.execute(text, {**found.same, **own}, prepare=True)
            yield size


def insert_singles(sample: str) -> Operation:
    """A prepared INSERT of one row and its commit."""
    found = read_sample(sample)
    text = _insert(found, "", {name: f"%({name})b::{found.types[name]}" for name in found.own})
    with _cursor() as cursor:
        for values in itertools.cycle(zip(*found.own.values(), strict=True)):
            cursor.execute(text, {**found.same, **dict(zip(found.own, values, strict=True))}, prepare=True)
            yield 1


def make_sample() -> str:
    """A queue with 1,000 messages, whose rows the plain side writes."""
    queue = queue_calls.make_queue()
    services.send_many(queue, PAYLOADS)
    return queue


def read_sample(queue: str) -> Sample:
    table = Message._meta.db_table
    with _cursor() as cursor:
        described = cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [table],
        ).fetchall()
        types: dict[str, str] = {name: type_ for name, type_ in described if name != "id"}
        rows = cursor.execute(
            f"SELECT id, {', '.join(types)} FROM {table} WHERE queue_id = %s ORDER BY id".encode(),
            [Queue.objects.get(name=queue).id],
        ).fetchall()
    ids, *columns = zip(*rows, strict=True)
    filled = {name: column for name, column in zip(types, columns, strict=True) if set(column) != {None}}
    like_id = [name for name, column in filled.items() if column == ids]
    same = {name: column[0] for name, column in filled.items() if len(set(column)) == 1}
    own = {name: list(column) for name, column in filled.items() if name not in like_id and name not in same}
    return Sample(types, like_id, same, own)


def _insert(sample: Sample, source: str, own: dict[str, str]) -> bytes:
    """The id and what equals it come from one call of the sequence for each row."""
    same = {name: f"%({name})b::{sample.types[name]}" for name in sample.same}
    names = ["id", *sample.like_id, *same, *own]
    values = ["n", *(["n"] * len(sample.like_id)), *same.values(), *own]
    inner = ", ".join([f"nextval('{PLAIN}_seq') AS n", *(f"{value} AS {name}" for name, value in own.items())])
    return (
        f"INSERT INTO {PLAIN} ({', '.join(names)}) SELECT {', '.join(values)} FROM (SELECT {inner} {source}) s".encode()
    )


def make_pgmq_table() -> None:
    with connect() as connection:
        connection.execute(f"DROP TABLE IF EXISTS {PGMQ}; {PGMQ_CREATE}".encode())


def load_pgmq(count: int) -> None:
    """Into the emptied table, with the statistics that a good plan needs."""
    with _cursor() as cursor:
        cursor.execute(f"TRUNCATE {PGMQ}".encode())
        for first in range(0, count, len(PAYLOADS)):
            cursor.execute(PGMQ_SEND.encode(), [_as_jsonb(min(len(PAYLOADS), count - first))])
        cursor.execute(f"VACUUM (ANALYZE) {PGMQ}".encode())


def send_pgmq(size: int, *, calls: int | None = None) -> Operation:
    """A batch and its commit; the parameters were made before."""
    batch = _as_jsonb(size)
    with _cursor() as cursor:
        for _ in steps(calls):
            cursor.execute(PGMQ_SEND.encode(), [batch], prepare=True)
            assert len(cursor.fetchall()) == size
            yield size


def read_and_delete_pgmq(size: int) -> Operation:
    """Read and delete, each with its commit, until the queue is empty. The JSON is not parsed."""
    with _cursor() as cursor:
        while rows := cursor.execute(PGMQ_READ.encode(), [size, PGMQ_LEASE_SECONDS], prepare=True).fetchall():
            ids = [row[0] for row in rows]
            assert len(cursor.execute(PGMQ_DELETE.encode(), [ids], prepare=True).fetchall()) == len(ids)
            yield len(ids)


def _as_jsonb(size: int) -> list[Jsonb]:
    """Bytes that are JSON already."""
    return [Jsonb(payload, dumps=bytes) for payload in PAYLOADS[:size]]


@contextlib.contextmanager
def _cursor() -> Iterator[psycopg.Cursor[Any]]:
    with connect() as connection, connection.cursor(binary=True) as cursor:
        set_json_loads(lambda raw: raw, connection)
        yield cursor
