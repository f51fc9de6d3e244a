"""Limits over all workers: how many calls at the same time, how much a second; and what a process tells of itself."""

import threading
import time

import pytest
from django.db import connection
from pytest_django import Settings

from mqsite import activity, limits, workers
from mqsite.models import HandlerRate, HandlerSlot, WorkerProcess
from queues import consumer, services
from queues.declarations import Queue, queues
from queues.handlers import handle, handled
from queues.models import Message
from queues.services import NewMessage
from tests.concurrency import all_at_once, elsewhere, in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bookings(monkeypatch: pytest.MonkeyPatch) -> Queue:
    for registry in (queues, handled):
        monkeypatch.setattr(registry, "_entries", {})
    services.create_queue("bookings", owner="sales")
    return Queue("bookings", owner="sales")


def never() -> bool:
    return False


def drain() -> bool:
    return consumer.drain("bookings", stop=never)


def take(most: int) -> bool:
    with limits.slot("h", most) as is_free:
        return is_free


def test_no_more_than_so_many_hold_a_slot() -> None:
    with limits.slot("h", 2) as first, limits.slot("h", 2) as second:
        assert (first, second) == (True, True)
        assert elsewhere(lambda: take(2)) is False
        assert elsewhere(lambda: take(3)) is True
        with limits.slot("another", 1) as other:
            assert other
    assert HandlerSlot.objects.count() == 0


def test_of_many_at_once_exactly_as_many_get_a_slot_as_there_are() -> None:
    got = threading.Barrier(8)

    def hold() -> bool:
        with limits.slot("h", 3) as is_free:
            got.wait(timeout=10)
            return is_free

    assert sum(all_at_once([hold] * 8)) == 3


def test_a_slot_is_free_again_when_its_worker_is_not_heard_of(settings: Settings) -> None:
    with limits.slot("h", 1):
        _age_slots(settings.MQSITE_MEMBER_SECONDS + 1)
        limits.keep_slots()
        assert elsewhere(lambda: take(1)) is False, "the heartbeat keeps it"
        _age_slots(settings.MQSITE_MEMBER_SECONDS + 1)
        assert elsewhere(lambda: take(1)) is True


def test_handlers_of_a_queue_run_no_more_at_once_than_they_want_and_nothing_is_left(bookings: Queue) -> None:
    running: list[int] = []
    most: list[int] = []
    meet = threading.Barrier(4)

    @handle(bookings, concurrency=2)
    def work(message: services.Message) -> None:
        running.append(message.id)
        most.append(len(running))
        threading.Event().wait(0.005)
        running.remove(message.id)

    services.send_many(bookings, [NewMessage(n) for n in range(10)])

    def drain_together() -> bool:
        meet.wait(timeout=10)
        return drain()

    all_at_once([drain_together] * 4)
    consumer.sweep(stop=never)
    assert max(most) <= 2
    assert Message.objects.count() == 0


def test_a_bucket_holds_a_second_and_fills_by_the_rate() -> None:
    assert limits.take_tokens("h", 40, 100, halt=never) == 40
    started = time.monotonic()
    assert limits.take_tokens("h", 40, 2, halt=never) >= 1
    assert 0.01 < time.monotonic() - started < 5
    assert limits.take_tokens("h", None, 7, halt=never) == 7


def test_who_waits_for_a_token_hears_the_halt() -> None:
    assert limits.take_tokens("h", 0.01, 1, halt=never) == 1
    assert limits.take_tokens("h", 0.01, 1, halt=lambda: True) == 0


def test_one_worker_waits_for_tokens_and_the_others_have_better_to_do() -> None:
    assert limits.take_tokens("h", 0.01, 1, halt=never) == 1
    left = threading.Event()
    waiting = in_thread(lambda: limits.take_tokens("h", 0.01, 1, halt=left.is_set))
    try:
        wait_until(HandlerSlot.objects.exists)
        assert limits.take_tokens("h", 0.01, 1, halt=never) == 0
    finally:
        left.set()
    assert waiting.result(timeout=10) == 0


def test_what_was_not_needed_is_there_for_the_next() -> None:
    assert limits.take_tokens("h", 5, 5, halt=never) == 5
    limits.give_back_tokens("h", 5, 4)
    assert limits.take_tokens("h", 5, 5, halt=never) == 4


@pytest.mark.parametrize("delivery", ["transaction", "at_least_once", "at_most_once"])
def test_a_queue_is_handled_no_faster_than_its_rate(bookings: Queue, delivery: str) -> None:
    done: list[float] = []
    handle(bookings, delivery=delivery, rate=100)(lambda message: done.append(time.monotonic()))
    HandlerRate.objects.create(handler="queues:bookings", tokens=0, at="2100-01-01T00:00Z", granted=0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mqsite_handlerrate SET at = clock_timestamp()")
    started = time.monotonic()
    services.send_many(bookings, [NewMessage(n) for n in range(20)])
    drain()
    assert len(done) == 20
    assert done[-1] - started > 0.18, "20 at 100 a second, and the bucket was empty"


def test_a_process_tells_what_it_works_on_how_much_it_did_and_what_failed_last(bookings: Queue) -> None:
    before = activity.tell()["handled"]
    told: list[WorkerProcess] = []

    @handle(bookings)
    def work(message: services.Message) -> None:
        if message.json() == 2:
            raise KeyError("YV" * 5_000)
        elsewhere(workers.beat)
        told.append(WorkerProcess.objects.get(name=workers.name()))

    services.send_many(bookings, [NewMessage(n) for n in range(3)])
    drain()
    workers.beat()
    after = WorkerProcess.objects.get(name=workers.name())
    assert told[0].working_on == ["bookings"]
    assert after.working_on == []
    assert after.handled == before + 2
    assert 2 <= after.handled_last_minute <= after.handled
    assert len(after.last_error) == activity.MAX_ERROR_CHARACTERS
    assert (after.failed_at is not None, after.failed_for) == (True, "sales")
    workers.leave()


def test_what_was_handled_more_than_a_minute_ago_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "_by_second", {0: 5, int(time.monotonic()) - 50: 3, int(time.monotonic()) - 61: 9})
    activity.note_handled(2)
    assert activity.tell()["handled_last_minute"] == 5


def _age_slots(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE mqsite_handlerslot SET seen_at = clock_timestamp() - make_interval(secs => %s)", [seconds]
        )
