"""The raw limit: plain psycopg on a table equal to the log's, with the same columns, types and primary key.

The rows are the log's own, read back, so both sides follow whatever the log's table becomes.
"""

import itertools
import random
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.house import connect
from benchmarks.log_calls import KEYS, VALUES, make_topic
from benchmarks.messaging import OWNER
from benchmarks.ratio import Operation
from logs import services
from logs.models import Partition
from logs.services import NewRecord

FIRST_OFFSET = 100_000  # psycopg binds smaller numbers as another type, and that would be prepared anew
_numbers = itertools.count(1)


def make_plain_table() -> None:
    with connect() as connection:
        connection.execute("DROP TABLE IF EXISTS bench_plain")
        connection.execute(
            "CREATE TABLE bench_plain "
            '(LIKE logs_record INCLUDING STORAGE INCLUDING COMPRESSION, PRIMARY KEY (partition_id, "offset"))'
        )


def make_sample(size: int, *, partitions: int = 1, is_keyed: bool = False) -> str:
    """A topic with one batch in it, whose rows the raw side writes."""
    topic = make_topic(partitions)
    keys = random.choices(KEYS, k=size) if is_keyed else [None] * size
    records = [NewRecord(value, key) for value, key in zip(VALUES[:size], keys, strict=True)]
    services.publish_many(topic, records, boundary=OWNER)
    return topic


def fill_plain_table(topic: str) -> None:
    """With the topic's records, and the statistics that a good plan needs."""
    with connect() as connection:
        connection.execute(
            "INSERT INTO bench_plain SELECT * FROM logs_record WHERE partition_id = ANY (%s)", [_find_ids(topic)]
        )
        connection.execute("VACUUM (ANALYZE) bench_plain")


def take_place() -> int:
    """A number for each who writes to the plain table: of a partition, or for where its offsets start."""
    return next(_numbers)


def copy_batches(sample: str, size: int, *, calls: int, place: int) -> Operation:
    """Binary COPY of buffers built before: the rows of the sample, each time at new offsets."""
    ids, start = _find_ids(sample), place * 1_000_000_000
    with connect() as connection, connection.cursor() as cursor:
        buffers = [_copy_out(cursor, ids, start + number * size) for number in range(calls + 1)]
        for buffer in buffers:
            with cursor.copy("COPY bench_plain FROM STDIN (FORMAT binary)") as copy:
                copy.write(buffer)
            yield size


def insert_singles(sample: str, *, place: int) -> Operation:
    """A prepared INSERT and its commit, in a partition nobody else writes to."""
    with connect() as connection, connection.cursor(binary=True) as cursor:
        cursor.execute("SELECT * FROM logs_record WHERE partition_id = ANY (%s) LIMIT 1", [_find_ids(sample)])
        names = [column.name for column in cursor.description or ()]
        row = dict(zip(names, cursor.fetchall()[0], strict=True)) | {"partition_id": place}
        insert = sql.SQL("INSERT INTO bench_plain ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(sql.Placeholder(name, format=psycopg.adapt.PyFormat.BINARY) for name in names),
        )
        text = insert.as_string(connection)  # composing it anew would take longer than the INSERT
        for row["offset"] in itertools.count(FIRST_OFFSET):
            cursor.execute(text, row, prepare=True)
            yield 1


def select_batches(topic: str, size: int, *, calls: int) -> Operation:
    """Rows as tuples by a range of the primary key, from random places."""
    (partition_id,) = _find_ids(topic)
    with connect() as connection, connection.cursor(binary=True) as cursor:
        bounds = cursor.execute('SELECT min("offset"), max("offset") FROM bench_plain').fetchall()[0]
        for _ in range(calls + 1):
            first = random.randrange(bounds[0], bounds[1] - size + 2)
            rows = cursor.execute(
                'SELECT "offset", "timestamp", key, value, headers, content_type FROM bench_plain '
                'WHERE partition_id = %s AND "offset" >= %s AND "offset" < %s ORDER BY "offset"',
                [partition_id, first, first + size],
                prepare=True,
            ).fetchall()
            assert len(rows) == size
            yield size


def measure_log_bytes() -> float:
    """The log's table with all its children, their indexes and TOAST."""
    query = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('logs_record')"
    with connect() as connection:
        ((size,),) = connection.execute(query).fetchall()
        return float(size)


def _find_ids(topic: str) -> list[int]:
    return list(Partition.objects.filter(topic__name=topic).values_list("id", flat=True))


def _copy_out(cursor: psycopg.Cursor[Any], ids: list[int], shift: int) -> bytes:
    columns = sql.SQL(", ").join(
        sql.SQL('"offset" + {}').format(shift) if name == "offset" else sql.Identifier(name)
        for name in _find_columns(cursor)
    )
    query = sql.SQL(
        "COPY (SELECT {} FROM logs_record WHERE partition_id = ANY ({}) ORDER BY partition_id, {}) "
        "TO STDOUT (FORMAT binary)"
    ).format(columns, ids, sql.Identifier("offset"))
    with cursor.copy(query) as copy:
        return b"".join(copy)


def _find_columns(cursor: psycopg.Cursor[Any]) -> list[str]:
    query = "SELECT attname FROM pg_attribute WHERE attrelid = 'bench_plain'::regclass AND attnum > 0 ORDER BY attnum"
    return [name for (name,) in cursor.execute(query)]
