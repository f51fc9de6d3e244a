"""manage.py consume_queues: the loop of the workers, in one process without Celery."""

import os
import signal
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from pytest_django import Settings

from mqsite import workers
from mqsite.models import AuditEntry, WorkerProcess
from queues import services
from queues.declarations import Queue
from queues.handlers import handle
from queues.models import Message, PeriodicCommand
from queues.periodic import Periodic
from queues.services import NewMessage
from tests.concurrency import in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _as_before(settings: Settings) -> Iterator[None]:
    """The command stops this process's timers and heeds signals: a test is no worker after it."""
    settings.MQSITE_SWEEP_SECONDS = 0.2
    yield
    workers._stopping[0] = 0
    workers._stopped.clear()


@pytest.fixture
def handled(bookings: Queue) -> list[str]:
    """The queues bookings and refunds with handlers; what they handled."""
    done: list[str] = []

    def book(message: services.Message) -> None:
        if message.text == "poison":
            raise KeyError("poison")
        AuditEntry.objects.create(actor="handler", action="book", subject=str(message.text))
        done.append(str(message.text))

    handle(bookings)(book)
    services.create_queue("refunds", owner="sales")
    handle(Queue("refunds", owner="sales"))(lambda message: done.append(f"refund {message.text}"))
    return done


def consume(*args: str, **options: Any) -> str:
    out = StringIO()
    call_command("consume_queues", *args, stdout=out, **options)
    return out.getvalue()


def test_once_handles_what_is_ready_and_says_what(handled: list[str]) -> None:
    services.send_many("bookings", [NewMessage(n) for n in range(250)])
    services.send("refunds", 1)
    said = consume("--once", verbosity=2)
    assert len(handled) == 251
    assert "Handles bookings with test_consume_queues.handled.<locals>.book.\nHandles refunds" in said
    assert said.endswith("Handled 251.\n")
    assert Message.objects.count() == WorkerProcess.objects.count() == 0


def test_once_leaves_what_must_wait_and_moves_what_is_due(handled: list[str], bookings: Queue) -> None:
    services.alter_queue("bookings", backoff_seconds=60, actor="ann")
    services.send_many(bookings, [NewMessage("poison"), NewMessage("later", delay_seconds=60), NewMessage("due")])
    Message.objects.filter(payload=b"due").update(state=Message.State.SCHEDULED, due_at="2020-01-01T00:00Z")
    assert consume("--once").endswith("Handled 1.\n")
    assert handled == ["due"]
    assert Message.objects.filter(state=Message.State.SCHEDULED).count() == 2


def test_only_the_queues_that_are_named(handled: list[str]) -> None:
    services.send("bookings", 1)
    services.send("refunds", 2)
    assert "bookings" not in consume("--queue", "refunds", "--once")
    assert handled == ["refund 2"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--queue", "refnds"], "No handler here for queue refnds. Handled here: bookings, refunds."),
        (["--queue", "refunds", "--queue", "x", "--queue", "a"], "No handler here for queue a, x. Handled here:"),
    ],
)
def test_an_unknown_queue_is_refused_with_those_there_are(handled: list[str], args: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        consume(*args)


def test_without_any_handler_it_says_where_they_belong(bookings: Queue) -> None:
    with pytest.raises(CommandError, match="Handled here: nothing: no installed app has a handler in its module cons"):
        consume()


def test_it_does_not_start_with_what_the_checks_find(handled: list[str], bookings: Queue) -> None:
    handle(bookings)(lambda message: None)
    with pytest.raises(CommandError, match=r"does not start:\n.*Handler of bookings is declared twice"):
        consume("--once", skip_checks=True)


def test_it_goes_on_until_a_signal_outlives_the_database_and_sends_what_the_clock_asks_for(
    handled: list[str], bookings: Queue
) -> None:
    """In the main thread, as it runs; another one does what people and others do."""
    Periodic("close", bookings, "* * * * *", payload="tick")

    def work() -> None:
        (row,) = wait_until(lambda: list(WorkerProcess.objects.all()))
        assert "queues:bookings" in row.handles
        assert not [each for each in row.handles if each.startswith("logs:")]
        services.send(bookings, 1)
        wait_until(lambda: handled == ["1"] and not Message.objects.exists())  # committed: else it is handled again
        cut_others_off()
        due = PeriodicCommand.objects.filter(next_tick__isnull=False)
        wait_until(lambda: due.update(next_tick=Now()))
        wait_until(lambda: handled == ["1", "tick"])

    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        try:
            work()
        finally:
            if signal.getsignal(signal.SIGTERM) is not before:  # else it would end the tests
                os.kill(os.getpid(), signal.SIGTERM)

    worked = in_thread(end)
    said = consume()
    worked.result(timeout=10)
    assert said.endswith("Stopped. Handled 2.\n")
    assert WorkerProcess.objects.count() == 0
    assert signal.getsignal(signal.SIGTERM) is before


def cut_others_off() -> None:
    """The database restarts, as its other sessions see it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
