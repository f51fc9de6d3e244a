"""The three deliveries, batches and async handlers: what is committed when, and what a failure undoes."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from logs import consumer, selectors, services
from logs.models import GroupPartition
from logs.rows import Record
from logs.services import NewRecord
from mqsite import calling
from mqsite.models import AuditEntry
from mqsite.retry import Retry, RetryIn
from tests.concurrency import elsewhere
from tests.logs.conftest import Subscribed

pytestmark = pytest.mark.django_db(transaction=True)


def publish(count: int) -> None:
    services.publish_many("orders", [NewRecord(n) for n in range(count)], boundary="shop")


def drain() -> bool:
    return consumer.drain("billing", "orders", 0, stop=lambda: False)


def committed() -> int | None:
    found: int | None = state()["committed"]
    return found


def state() -> dict[str, Any]:
    found: dict[str, Any] = selectors.describe_group("billing")["topics"][0]["partitions"][0]["groups"][0]
    return found


def write(*records: Record) -> None:
    for record in records:
        AuditEntry.objects.create(actor="handler", action=str(record.offset), subject="")


def written() -> list[int]:
    entries = AuditEntry.objects.filter(actor="handler").order_by("id")
    return [int(action) for action in entries.values_list("action", flat=True)]


def test_at_least_once_the_commit_follows_success_and_an_error_repeats_nothing_before_it(
    subscribed: Subscribed,
) -> None:
    seen: list[int] = []

    def fail_on_three(record: Record) -> None:
        assert connection.get_autocommit()
        seen.append(record.offset)
        write(record)
        if record.offset == 3:
            raise ValueError("no")

    subscribed(fail_on_three, delivery="at_least_once")
    publish(6)
    drain()
    assert seen == [0, 1, 2, 3]
    assert written() == [0, 1, 2, 3], "what it wrote outside of a transaction stays"
    assert (committed(), state()["failing"]["offset"]) == (3, 3)
    GroupPartition.objects.update(retry_at=None)
    drain()
    assert seen == [0, 1, 2, 3, 3]
    assert state()["failing"]["attempts"] == 2


def test_at_most_once_the_commit_is_there_before_the_handler_and_a_failure_is_passed(subscribed: Subscribed) -> None:
    seen: list[tuple[int, int | None]] = []

    def fail_on_one(record: Record) -> None:
        seen.append((record.offset, elsewhere(committed)))
        if record.offset == 1:
            raise ValueError("no")

    subscribed(fail_on_one, delivery="at_most_once")
    publish(3)
    assert drain() is False
    assert seen == [(0, 1), (1, 2), (2, 3)]
    assert state()["failing"] is None
    assert selectors.list_parked("billing") == []


def test_at_most_once_what_fails_can_be_parked(subscribed: Subscribed) -> None:
    def fail(records: list[Record]) -> None:
        raise ValueError("no")

    subscribed(fail, delivery="at_most_once", batch=2, on_failure="park")
    publish(3)
    drain()
    assert [(p["offset"], p["reason"]) for p in selectors.list_parked("billing")] == [
        (0, "failed"),
        (1, "failed"),
        (2, "failed"),
    ]


def test_records_share_a_transaction_up_to_a_limit_of_calls_and_of_time(
    subscribed: Subscribed, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[int, str]] = set()

    def look(record: Record) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            seen.add((record.offset, cursor.fetchone()[0]))

    subscribed(look)
    publish(250)
    drain()
    assert len({transaction for _, transaction in seen}) == 3
    seen.clear()
    monkeypatch.setattr(calling, "SHARED_SECONDS", -1.0)
    publish(4)
    drain()
    assert len({transaction for _, transaction in seen}) == 4


@pytest.mark.parametrize("delivery", ["transaction", "at_least_once"])
def test_poison_in_a_batch_is_found_by_halving_and_blocks_only_what_follows_it(
    subscribed: Subscribed, delivery: str
) -> None:
    sizes: list[int] = []

    def fail_on_five(records: list[Record]) -> None:
        sizes.append(len(records))
        if any(record.offset == 5 for record in records):
            raise ValueError("no")
        write(*records)

    subscribed(fail_on_five, batch=8, delivery=delivery)
    publish(20)
    drain()
    assert written() == [0, 1, 2, 3, 4]
    assert sizes == [8, 4, 2, 1, 1]
    assert (committed(), state()["failing"]["offset"]) == (5, 5)


def test_a_parking_batch_handler_passes_the_poison_and_its_batches_grow_again(subscribed: Subscribed) -> None:
    sizes: list[int] = []

    def fail_on_five(records: list[Record]) -> None:
        write(*records)
        if any(record.offset == 5 for record in records):
            raise ValueError("no")
        sizes.append(len(records))

    subscribed(fail_on_five, batch=8, on_failure="park", retry=Retry(attempts=1))
    publish(40)
    assert drain() is False
    assert written() == [n for n in range(40) if n != 5], "what a failed batch wrote is undone"
    assert max(sizes[-3:]) == 8
    assert (committed(), state()["failing"]) == (40, None)


def test_a_batch_is_as_large_as_asked_for(subscribed: Subscribed) -> None:
    sizes: list[int] = []
    subscribed(lambda records: sizes.append(len(records)), batch=True)
    publish(1_500)
    drain()
    assert sizes == [1_000, 500]


async def write_async(record: Record) -> None:
    await AuditEntry.objects.acreate(actor="handler", action=str(record.offset), subject="")


def test_an_async_handler_writes_in_the_transaction_of_the_commit(subscribed: Subscribed) -> None:
    sessions: set[int] = set()

    async def fail_on_two(record: Record) -> None:
        await write_async(record)
        sessions.add(await sync_to_async(lambda: connection.connection.info.backend_pid)())
        if record.offset == 2:
            raise ValueError("no")

    subscribed(fail_on_two)
    publish(4)
    drain()
    assert written() == [0, 1], "a rolled back async handler leaves nothing behind"
    assert sessions == {connection.connection.info.backend_pid}
    assert committed() == 2


def test_an_async_batch_handler_is_undone_as_a_whole(subscribed: Subscribed) -> None:
    async def fail_with_two(records: list[Record]) -> None:
        for record in records:
            await write_async(record)
        if any(record.offset == 2 for record in records):
            raise ValueError("no")

    subscribed(fail_with_two, batch=4)
    publish(4)
    drain()
    assert written() == [0, 1]


def test_an_error_that_only_the_commit_shows_is_found_too(subscribed: Subscribed) -> None:
    """A deferred constraint fails when the handler has long returned."""

    def break_at_commit(record: Record) -> None:
        write(record)
        if record.offset == 2:
            with connection.cursor() as cursor:
                cursor.execute("CREATE TEMP TABLE IF NOT EXISTS once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
                cursor.execute("INSERT INTO once VALUES (1), (1)")

    subscribed(break_at_commit)
    publish(4)
    drain()
    assert written() == [0, 1]
    assert state()["failing"]["offset"] == 2
    assert "duplicate key" in state()["failing"]["error"]


def test_a_handler_says_when_it_wants_to_be_called_again(subscribed: Subscribed) -> None:
    def ask(record: Record) -> None:
        raise RetryIn(3_600)

    subscribed(ask)
    publish(1)
    drain()
    assert 3_500 < state()["failing"]["retry_in"] <= 3_600


def test_what_a_message_cannot_be_decoded_as_is_the_handlers_error(subscribed: Subscribed) -> None:
    decoded: list[object] = []
    subscribed(lambda record: decoded.append(record.decode()))
    services.publish("orders", b"\x00\xff", content_type="application/x-unheard-of; v=9", boundary="shop")
    services.publish("orders", "text", boundary="shop")
    services.publish("orders", {"n": 1}, boundary="shop")
    services.publish("orders", b"{", content_type="application/vnd.shop+json", boundary="shop")
    drain()
    assert decoded == [b"\x00\xff", "text", {"n": 1}] * 2, "again, without the one that failed"
    assert "JSONDecodeError" in state()["failing"]["error"]


def test_what_nobody_here_handles_is_left_alone_and_said_once(
    subscribed: Subscribed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_left_alone", set())
    publish(1)
    for _ in range(3):
        assert drain() is False
    assert (committed(), caplog.text.count("No handler here reads orders for billing; left to other workers.")) == (
        None,
        1,
    )
