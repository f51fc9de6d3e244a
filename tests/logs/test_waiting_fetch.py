"""A fetch that waits: it returns with the record, with the end of its time, or with the end of its topic."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

import pytest
from django.db import connection, transaction

from logs import rows, services, store
from logs.errors import OffsetOutOfRange, TopicNotFound
from logs.services import waiting
from mqsite.errors import Invalid
from tests.concurrency import elsewhere, in_thread
from tests.house import PROJECT, replace_path
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SOON_SECONDS = 5.0  # after the record; far less than the readers are ready to wait
PATIENT_SECONDS = 30.0


@pytest.fixture(autouse=True)
def topic() -> str:
    services.create_topic("orders", owner="shop", partitions=4)
    return "orders"


def publish(value: str, partition: int = 0) -> None:
    services.publish("orders", value, partition=partition, boundary="shop")


def start_waiting(offset: int = 0, partition: int = 0) -> "Future[list[services.Record]]":
    """Returns once it waits."""
    before = len(waiting._waiting.waits)
    reader = in_thread(lambda: services.fetch("orders", partition, offset, wait_seconds=PATIENT_SECONDS))
    wait_until(lambda: len(waiting._waiting.waits) > before or reader.done(), message="the reader to wait")
    return reader


def texts(reader: "Future[list[services.Record]]") -> list[str | None]:
    return [r.text for r in reader.result(timeout=SOON_SECONDS)]


def test_it_returns_soon_after_a_record_of_another_thread() -> None:
    reader = start_waiting()
    publish("elsewhere", 1)
    publish("x")
    assert texts(reader) == ["x"]


def test_it_returns_soon_after_a_record_of_another_process() -> None:
    reader = start_waiting()
    publish_in_another_process()
    assert texts(reader) == ["far away"]


def publish_in_another_process() -> None:
    url = replace_path(os.environ["DATABASE_URL"], str(connection.settings_dict["NAME"]))
    code = "import django; django.setup(); from logs import services; "
    code += "services.publish('orders', 'far away', partition=0, boundary='shop')"
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "mqsite.settings"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=PROJECT, check=True, timeout=60)


def test_it_returns_when_a_transaction_commits_and_not_before() -> None:
    reader = start_waiting()
    with transaction.atomic():
        publish("x")
        elsewhere(lambda: publish("elsewhere", 1))
        assert not reader.done()
    assert texts(reader) == ["x"]


def test_it_waits_at_the_log_end_only() -> None:
    publish("x")
    assert texts(start_waiting(0)) == ["x"]
    with pytest.raises(OffsetOutOfRange, match="from 0 up to 1"):
        start_waiting(2).result(timeout=SOON_SECONDS)


def test_the_time_ends_without_a_record_and_without_an_error() -> None:
    started = time.monotonic()
    assert services.fetch("orders", 0, 0, wait_seconds=0.2) == []
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("seconds", [-0.1, 60.1])
def test_how_long_one_may_wait_is_limited(seconds: float) -> None:
    with pytest.raises(Invalid, match="allowed are 0 to 60"):
        services.fetch("orders", 0, 0, wait_seconds=seconds)


def test_a_deleted_topic_wakes_its_readers_and_is_named() -> None:
    readers = [start_waiting(partition=p) for p in range(2)]
    services.delete_topic("orders", actor="test")
    for reader in readers:
        with pytest.raises(TopicNotFound, match="There is no topic orders"):
            reader.result(timeout=SOON_SECONDS)


def test_one_statement_looks_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Sequence[int]] = []
    look = store.bounds

    def count(partition_ids: Sequence[int], *, using: str) -> list[rows.Bounds]:
        looks.append(partition_ids)
        return look(partition_ids, using=using)

    readers = [start_waiting(partition=n % 4) for n in range(20)]
    monkeypatch.setattr(store, "bounds", count)
    wait_until(lambda: len(looks) > 3)
    assert all(len(ids) == 4 for ids in looks)
    assert len({t.name for t in threading.enumerate() if t.name == "waiting"}) == 1
    for partition in range(4):
        publish("x", partition)
    assert [texts(reader) for reader in readers] == [["x"]] * 20


def test_nobody_looks_once_nobody_waits() -> None:
    reader = start_waiting()
    publish("x")
    texts(reader)
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "waiting"], message="the thread to end")
    assert texts(start_waiting(0)) == ["x"]


def test_a_failing_look_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[int] = []
    look = store.bounds

    def fail(partition_ids: Sequence[int], *, using: str) -> list[rows.Bounds]:
        failures.append(1)
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(store, "bounds", fail)
        reader = start_waiting()
        wait_until(lambda: len(failures) > 1)
    assert store.bounds is look
    publish("x")
    assert texts(reader) == ["x"]


def test_all_of_a_topic_can_be_followed_at_once() -> None:
    found: list[str | None] = []

    def follow() -> None:
        for record in services.read_records("orders", wait_seconds=PATIENT_SECONDS):
            found.append(record.text)
            if record.text == "last":
                break

    following = in_thread(follow)
    wait_until(lambda: waiting._waiting.waits, message="the reader to wait")
    publish("first", 3)
    wait_until(lambda: found == ["first"], seconds=SOON_SECONDS)
    publish("last", 1)
    following.result(timeout=SOON_SECONDS)
    assert found == ["first", "last"]
