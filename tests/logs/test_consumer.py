"""The loop: a handler's writes and the commit are one transaction, and a failing record is found."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest
from django.db import connection

from logs import consumer, selectors, services
from logs.declarations import Group, groups
from logs.handlers import Reads, subscribe, subscriptions
from logs.models import GroupPartition
from logs.rows import Record
from logs.services import NewRecord
from mqsite import activity
from mqsite.errors import NotOwner
from mqsite.handling import Handler
from mqsite.models import AuditEntry
from tests.concurrency import all_at_once, elsewhere, in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def handled_by() -> Iterator[Callable[[Handler], None]]:
    """Makes a function the handler of group billing on topic orders, for one test."""
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])

    def register(handler: Handler) -> None:
        subscribe(Group("billing", owner="billing"), "orders")(handler)

    yield register
    subscriptions._entries.pop(Reads("billing", "orders"), None)
    groups._entries.pop("billing", None)


def publish(count: int, partition: int = 0) -> None:
    services.publish_many("orders", [NewRecord(n, partition=partition) for n in range(count)], boundary="shop")


def drain(partition: int = 0) -> bool:
    return consumer.drain("billing", "orders", partition, stop=lambda: False)


def write(record: Record) -> None:
    AuditEntry.objects.create(actor="handler", action=str(record.offset), subject=str(record.partition))


def written() -> list[int]:
    return [
        int(action)
        for action in AuditEntry.objects.filter(actor="handler").order_by("id").values_list("action", flat=True)
    ]


def state() -> dict[str, Any]:
    found: dict[str, Any] = selectors.describe_group("billing")["topics"][0]["partitions"][0]["groups"][0]
    return found


def test_a_partition_is_read_to_its_end_in_order_and_let_go(handled_by: Callable[[Handler], None]) -> None:
    handled_by(write)
    publish(250)
    assert drain() is False
    assert written() == list(range(250))
    assert (state()["committed"], state()["owner"]) == (250, None)


def test_a_failing_record_undoes_its_own_writes_only_and_blocks_its_partition(
    handled_by: Callable[[Handler], None],
) -> None:
    def fail_on_seven(record: Record) -> None:
        write(record)
        if record.offset == 7:
            raise KeyError("YV")

    handled_by(fail_on_seven)
    publish(20)
    drain()
    assert written() == list(range(7))
    failing = state()["failing"]
    assert failing["offset"] == 7
    assert "KeyError: 'YV'" in failing["error"]
    assert activity.tell()["failed_for"] == "billing"
    drain()
    assert state()["failing"]["attempts"] == 1, "tried again before its time"


def test_a_record_that_failed_is_tried_again_and_the_failure_forgotten(handled_by: Callable[[Handler], None]) -> None:
    broken = [True]

    def fail_while_broken(record: Record) -> None:
        write(record)
        if broken[0] and record.offset == 3:
            raise ValueError("broken")

    handled_by(fail_while_broken)
    publish(5)
    drain()
    GroupPartition.objects.update(retry_at=None)
    drain()
    assert state()["failing"]["attempts"] == 2
    broken[0] = False
    GroupPartition.objects.update(retry_at=None)
    drain()
    assert written() == [0, 1, 2, 3, 4]
    assert (state()["failing"], state()["committed"]) == (None, 5)


def test_a_reset_in_the_middle_of_a_batch_undoes_the_batch_and_reading_goes_on_from_the_new_place(
    handled_by: Callable[[Handler], None],
) -> None:
    resets: list[Future[Any]] = []

    def reset_once(record: Record) -> None:
        write(record)
        if record.offset == 5 and not resets:
            resets.append(
                in_thread(
                    lambda: services.reset_offsets("billing", "to-offset", 3, topics={"orders": [0]}, actor="ann")
                )
            )
            wait_until(lambda: elsewhere(_fenced), message="the reset to fence the partition")

    handled_by(reset_once)
    publish(10)
    drain()
    resets[0].result(timeout=10)
    drain()
    assert written() == list(range(3, 10))
    assert state()["committed"] == 10


def test_many_workers_handle_each_record_once(handled_by: Callable[[Handler], None]) -> None:
    handled_by(write)
    publish(300, partition=0)
    publish(300, partition=1)
    all_at_once([partial(drain, p) for p in (0, 1, 0, 1)])
    drain(0)
    drain(1)
    for partition in ("0", "1"):
        actions = AuditEntry.objects.filter(subject=partition).order_by("id").values_list("action", flat=True)
        assert [int(a) for a in actions] == list(range(300))


def test_a_lost_connection_is_not_the_handlers_failure(handled_by: Callable[[Handler], None]) -> None:
    cut = [True]

    def cut_once(record: Record) -> None:
        write(record)
        if cut[0] and record.offset == 2:
            cut[0] = False
            pid = connection.connection.info.backend_pid
            elsewhere(lambda: _terminate(pid))
            write(record)

    handled_by(cut_once)
    publish(5)
    with pytest.raises(Exception, match="connection"):
        drain()
    GroupPartition.objects.update(expires_at="2000-01-01T00:00Z")
    drain()
    assert written() == list(range(5))
    assert state()["failing"] is None


def _fenced() -> bool:
    return GroupPartition.objects.filter(owner="reset by ann").exists()


def _terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_group_of_another_boundary_is_refused_by_name(handled_by: Callable[[Handler], None]) -> None:
    subscribe(Group("billing", owner="accounting"), "orders")(write)
    publish(1)
    with pytest.raises(NotOwner, match="Only billing reads as billing; you act for accounting"):
        drain()
    assert written() == []


def test_the_sweep_finds_what_no_wake_up_announced(handled_by: Callable[[Handler], None]) -> None:
    handled_by(write)
    publish(3)
    assert consumer.sweep(stop=lambda: False) == 1
    assert written() == [0, 1, 2]
    assert consumer.sweep(stop=lambda: False) == 0


def test_a_stopping_worker_ends_between_batches(handled_by: Callable[[Handler], None]) -> None:
    handled_by(write)
    publish(250)
    assert consumer.drain("billing", "orders", 0, stop=lambda: len(written()) >= 100) is True
    assert written() == list(range(100))
    assert (state()["committed"], state()["owner"]) == (100, None)


def test_a_group_of_another_owner_does_not_end_the_sweep(handled_by: Callable[[Handler], None]) -> None:
    services.create_topic("returns", owner="shop")
    services.create_group("accounting", owner="accounting", topics=["returns"])
    services.publish("returns", "x", boundary="shop")
    subscribe(Group("accounting", owner="somebody-else"), "returns")(write)
    handled_by(write)
    publish(3)
    try:
        consumer.sweep(stop=lambda: False)
    finally:
        subscriptions._entries.pop(Reads("accounting", "returns"))
        groups._entries.pop("accounting")
    assert written() == [0, 1, 2]


def test_a_slow_handler_keeps_its_partition(handled_by: Callable[[Handler], None]) -> None:
    """The heartbeat renews what is being read, and nothing else."""
    renewed: list[int] = []

    def beat(record: Record) -> None:
        renewed.append(elsewhere(consumer.renew_partitions))

    handled_by(beat)
    publish(2)
    drain()
    assert renewed == [1, 1]
    assert consumer.renew_partitions() == 0
