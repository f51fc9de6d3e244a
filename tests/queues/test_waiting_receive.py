"""A receive that waits: it returns with a message, with the end of its time, or with the end of its queue."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from django.db import transaction

from mqsite.errors import Invalid
from queues import services, store
from queues.declarations import Queue
from queues.errors import QueueNotFound
from queues.models import Message
from queues.services import waiting
from tests.concurrency import in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SOON_SECONDS = 5.0  # far less than the receivers are ready to wait
PATIENT_SECONDS = 30.0

Receiver = Future[services.Lease | None]


def start_waiting(queue: str = "bookings") -> "Receiver":
    """Returns once it waits."""
    before = len(waiting._waiting.waits)
    receiver = in_thread(
        lambda: services.receive(queue, holder="a", boundary="sales", max_messages=1, wait_seconds=PATIENT_SECONDS)
    )
    wait_until(lambda: len(waiting._waiting.waits) > before or receiver.done(), message="the receiver to wait")
    return receiver


def text(receiver: "Receiver") -> str | None:
    lease = receiver.result(timeout=SOON_SECONDS)
    return lease.messages[0].text if lease else None


def test_it_returns_soon_after_a_message(bookings: Queue) -> None:
    receiver = start_waiting()
    services.send(bookings, "x")
    assert text(receiver) == "x"


def test_it_returns_when_a_transaction_commits_and_not_before(bookings: Queue) -> None:
    receiver = start_waiting()
    with transaction.atomic():
        services.send(bookings, "x", priority=3)
        assert not receiver.done()
    assert text(receiver) == "x"


def test_the_time_ends_without_a_message_and_without_an_error(bookings: Queue) -> None:
    started = time.monotonic()
    assert services.receive(bookings, holder="a", wait_seconds=0.2) is None
    assert time.monotonic() - started >= 0.2
    with pytest.raises(Invalid, match=r"wait_seconds is 60\.1; allowed are 0 to 60"):
        services.receive(bookings, holder="a", wait_seconds=60.1)
    with transaction.atomic(), pytest.raises(Invalid, match="nobody waits"):
        services.receive(bookings, holder="a", wait_seconds=1)


def test_a_deleted_queue_wakes_its_receivers_and_is_named(bookings: Queue) -> None:
    receiver = start_waiting()
    services.delete_queue("bookings", actor="ann")
    with pytest.raises(QueueNotFound, match="no queue bookings"):
        receiver.result(timeout=SOON_SECONDS)


def test_a_paused_queue_wakes_nobody_until_it_resumes(bookings: Queue) -> None:
    services.pause_queue("bookings", actor="ann")
    receiver = start_waiting()
    services.send(bookings, "x")
    assert not waiting._look(list({w.subject for w in waiting._waiting.waits}), "default")[0]
    services.resume_queue("bookings", actor="ann")
    assert text(receiver) == "x"


def test_one_statement_of_one_thread_looks_for_all_who_wait(bookings: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    services.create_queue("other", owner="sales")
    looks: list[Sequence[int]] = []
    look = store.arrived

    def count(waited: dict[int, Any], *, using: str) -> set[int]:
        looks.append(list(waited))
        return look(waited, using=using)

    receivers = [start_waiting(queue) for queue in ("bookings", "other") for _ in range(8)]
    monkeypatch.setattr(store, "arrived", count)
    wait_until(lambda: len(looks) > 3)
    assert all(len(ids) == 2 for ids in looks)
    assert len([t for t in threading.enumerate() if t.name == "waiting"]) == 1
    for queue in ("bookings", "other"):
        services.send_many(queue, [services.NewMessage(queue)] * 8)
    assert [text(receiver) for receiver in receivers] == ["bookings"] * 8 + ["other"] * 8
    assert Message.objects.filter(state=Message.State.READY).count() == 0
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "waiting"], message="the thread to end")
