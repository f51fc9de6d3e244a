"""A group of many partitions, for tests in which two are at it at once."""

from django.db import connection

from logs import selectors, services
from logs.services import Assignment, NewRecord

PARTITIONS = 16
ROUNDS = 30


def create_group() -> None:
    services.create_topic("orders", owner="shop", partitions=PARTITIONS)
    services.create_group("billing", owner="billing", topics=["orders"])


def publish(count: int, *, partition: int | None = None) -> None:
    batch = [NewRecord(n, partition=n % PARTITIONS if partition is None else partition) for n in range(count)]
    services.publish_many("orders", batch, boundary="shop")


def acquire(partition: int = 0, member: str = "a") -> Assignment:
    assignment = services.acquire_partition("billing", "orders", partition, member=member)
    assert assignment
    return assignment


def committed(partition: int = 0) -> int | None:
    found = selectors.committed_offsets(selectors.require_group("billing"))
    return {c["partition"]: c["committed"] for c in found}[partition]


def someone_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
