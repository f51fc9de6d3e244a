"""A process whose clock is an hour ahead or behind does as the others do: what counts is the database's clock."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from logs import selectors, services
from logs.models import GroupPartition
from logs.services import NewRecord
from mqsite import activity, workers
from mqsite.models import WorkerProcess
from queues import declarations, periodic
from queues.models import Message, PeriodicCommand
from queues.services import create_queue, find_reply, nack, receive, reply_to, request, send, send_ticks
from queues.services.replies import REPLY_TO

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_SECONDS = 3_600


@pytest.fixture(params=[HOUR_SECONDS, -HOUR_SECONDS], ids=["ahead", "behind"], autouse=True)
def _wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + request.param)
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(seconds=request.param))


@pytest.fixture
def orders() -> None:
    """Records of 90, 30 and 0 minutes ago."""
    services.create_topic("orders", owner="shop")
    now = datetime.now(UTC)
    batch = [NewRecord(n, timestamp=now - timedelta(minutes=n), partition=0) for n in (90, 30, 0)]
    services.publish_many("orders", batch, boundary="shop")


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(("duration", "first"), [("PT75M", 1), ("PT2H", 0)])
def test_a_group_that_starts_by_duration_starts_there(duration: str, first: int) -> None:
    services.create_group("billing", owner="billing", topics=["orders"], auto_offset_reset=f"by_duration:{duration}")
    held = services.acquire_partition("billing", "orders", 0, member="a")
    assert held
    assert held.position == first


@pytest.mark.usefixtures("orders")
def test_a_reset_by_duration_goes_back_so_far() -> None:
    services.create_group("billing", owner="billing", topics=["orders"], auto_offset_reset="latest")
    services.reset_offsets("billing", "by-duration", "PT45M", actor="ann")
    (held,) = selectors.committed_offsets(selectors.require_group("billing"))
    assert held["committed"] == 1


def test_a_request_is_answered_within_its_time_and_not_after_it() -> None:
    create_queue("bookings", owner="sales")
    asked = request("bookings", "7A", reply_seconds=30)
    lease = receive("bookings", holder="b", boundary="sales")
    assert lease
    (message,) = lease.messages
    until = int(dict(message.headers)[REPLY_TO].partition("/")[2])
    assert 25 < until - datetime.now(UTC).timestamp() < 32
    assert reply_to(message, "taken")
    assert find_reply(asked.id)


def test_what_failed_waits_as_long_as_it_is_told_to() -> None:
    create_queue("bookings", owner="sales")
    send("bookings", "7A", sender="web")
    lease = receive("bookings", holder="b", boundary="sales")
    assert lease
    nack(lease.token, [lease.messages[0].id], queue="bookings", delay_seconds=60)
    services.create_topic("orders", owner="shop")
    services.create_group("billing", owner="billing", topics=["orders"])
    held = services.acquire_partition("billing", "orders", 0, member="a")
    assert held
    services.record_failure(held, 0, error="broken", retry_seconds=60)
    until = [Message.objects.get().due_at, GroupPartition.objects.get(partition=held.partition_id).retry_at]
    for moment in until:
        assert moment
        assert 50 < (moment - datetime.now(UTC)).total_seconds() <= 60


def test_a_tick_is_sent_when_it_is_due_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (declarations.queues, periodic.periodics):
        monkeypatch.setattr(registry, "_entries", {})
    create_queue("bookings", owner="sales")
    periodic.Periodic("close", declarations.Queue("bookings", owner="sales"), "* * * * *")
    assert [send_ticks(), send_ticks()] == [0, 0]
    due = PeriodicCommand.objects.get().next_tick
    assert due
    assert timedelta() < due - datetime.now(UTC) <= timedelta(minutes=1)
    PeriodicCommand.objects.update(next_tick=due - timedelta(minutes=1))
    assert [send_ticks(), send_ticks()] == [1, 0]


def test_a_failure_is_told_with_the_time_it_had() -> None:
    activity.note_failure("broken", owner="sales")
    workers.beat()
    process = WorkerProcess.objects.get(name=workers.name())
    assert process.failed_at
    assert abs(process.seen_at - process.failed_at) < timedelta(seconds=10)
