"""Commands on a schedule: one message a tick whoever looks, by the database's clock."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from mqsite.models import AuditEntry, WorkerProcess
from queues import consumer, handlers, periodic, services
from queues.declarations import Queue
from queues.errors import PeriodicNotFound
from queues.models import Message, PeriodicCommand
from queues.periodic import Periodic
from queues.services import periodic as service
from tests.concurrency import all_at_once, elsewhere, held_open
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)  # seen by other connections

MINUTE = timedelta(minutes=1)
Declare = Callable[..., Periodic]


@pytest.fixture(autouse=True)
def no_tick_meanwhile(bookings: Queue) -> None:
    """The minute does not turn while a test runs."""
    wait_until(lambda: database_now().second < 55)


@pytest.fixture
def declare(bookings: Queue, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Declares the schedule "close" anew, as another deploy would, and lets a worker see it."""
    monkeypatch.setattr(service, "_refused", {})

    def declare_close(crontab: str = "* * * * *", **options: Any) -> Periodic:
        declared = declare_only(bookings, crontab, **options)
        services.send_ticks()
        return declared

    return declare_close


def declare_only(queue: Queue, crontab: str, **options: Any) -> Periodic:
    periodic.periodics._entries.clear()
    return Periodic("close", queue, crontab, payload={"kind": "close"}, **options)


def look() -> Any:
    """The row, and the database's clock."""
    return PeriodicCommand.objects.annotate(now=Now()).get()


def set_back(**ago: float) -> datetime:
    """The next tick of "close" was the last full minute, or that of so long ago."""
    tick: datetime = (database_now() - timedelta(**ago)).replace(second=0, microsecond=0)
    PeriodicCommand.objects.update(next_tick=tick)
    return tick


def alive(name: str, *revisions: str) -> None:
    """A process that declares "close" so."""
    WorkerProcess.objects.create(name=name, handles=[periodic.handled_name("close", each) for each in revisions])


def test_the_first_look_sends_nothing_and_the_first_tick_one_message_with_its_time(declare: Declare) -> None:
    declare(headers=[("ce_type", "Close")], priority=7, ttl_seconds=3_600, sender="clock")
    row = look()
    assert row.now < row.next_tick <= row.now + MINUTE
    assert Message.objects.count() == 0
    tick = set_back()
    assert [services.send_ticks(), services.send_ticks()] == [1, 0]
    (message,) = Message.objects.all()
    assert (bytes(message.payload), message.priority, message.sender) == (b'{"kind":"close"}', 7, "clock")
    sent = services.receive("bookings", holder="w", boundary="sales").messages[0]  # type: ignore[union-attr]
    assert sent.headers == [("ce_type", "Close"), ("mq-schedule", "close"), ("mq-tick", tick.isoformat())]
    row = look()
    assert (row.last_tick, row.message_id, row.next_tick > tick) == (tick, message.id, True)


@committing
def test_many_workers_send_each_tick_once(declare: Declare) -> None:
    declare(missed="catch_up")
    for _ in range(5):
        set_back(minutes=2)
        sent = sum(all_at_once([services.send_ticks] * 6))
        told = list(Message.objects.values_list("headers", flat=True))
        assert 3 <= len(told) == sent == len(set(told))
        services.purge("bookings", state="all", actor="ann")
    assert services.send_ticks() == 0


@committing
def test_a_first_look_of_many_workers_makes_one_schedule(bookings: Queue) -> None:
    declare_only(bookings, "* * * * *")
    assert all_at_once([services.send_ticks] * 6) == [0] * 6
    assert look().next_tick is not None


@committing
def test_a_worker_that_dies_between_claim_and_commit_has_sent_and_claimed_nothing(
    declare: Declare, bookings: Queue
) -> None:
    declare()
    tick = set_back()
    killed = []

    def die() -> None:
        with transaction.atomic():
            assert services.send_ticks() == 1
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                killed.append(cursor.fetchone()[0])
            assert elsewhere(lambda: kill(killed[0]))
            services.send(bookings, "after the end")

    with pytest.raises(OperationalError):
        elsewhere(die)
    assert (Message.objects.count(), look().next_tick) == (0, tick)
    assert services.send_ticks() == 1


@committing
def test_a_worker_at_a_schedule_holds_up_no_other(declare: Declare) -> None:
    declare()
    set_back()
    with held_open(services.send_ticks) as commit:
        assert elsewhere(services.send_ticks) == 0
        commit()
    assert services.send_ticks() == 0
    assert Message.objects.count() == 1


def test_skip_sends_only_the_newest_tick_that_was_missed(declare: Declare, caplog: pytest.LogCaptureFixture) -> None:
    declare(grace_seconds=120)
    due = set_back(minutes=30)
    assert services.send_ticks() == 1
    assert look().last_tick >= due + 29 * MINUTE
    assert "Periodic close (skip) sends nothing for ticks from" in caplog.text


def test_skip_sends_nothing_for_a_tick_that_is_older_than_its_grace(
    declare: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    declare("0 3 1 1 *", grace_seconds=600)
    set_back(minutes=12)
    assert services.send_ticks() == 0
    row = look()
    assert (row.last_tick, row.next_tick > row.now) == (None, True)
    assert "sends nothing for ticks from" in caplog.text
    set_back(minutes=8)
    assert services.send_ticks() == 1


def test_catch_up_sends_each_missed_tick_the_oldest_first(declare: Declare) -> None:
    declare("*/5 * * * *", missed="catch_up")
    due = set_back(minutes=60).replace(minute=0)
    PeriodicCommand.objects.update(next_tick=due)
    count = services.send_ticks()
    assert count >= 12
    lease = services.receive("bookings", holder="w", boundary="sales", max_messages=100)
    assert lease is not None
    told = [datetime.fromisoformat(dict(message.headers)["mq-tick"]) for message in lease.messages]
    assert told == [due + n * 5 * MINUTE for n in range(count)]


def test_catch_up_gives_up_what_is_older_than_its_limit_and_says_so(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "MOST_CAUGHT_UP", 3)
    declare(missed="catch_up")
    due = set_back(days=400)
    assert services.send_ticks() == 3
    row = look()
    assert row.now - row.last_tick < MINUTE
    assert f"Periodic close (catch_up) sends nothing for ticks from {due.isoformat()} before" in caplog.text


def test_a_changed_crontab_counts_from_now_and_what_had_come_already_is_sent(
    declare: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    declare("0 3 1 1 *")
    declare("* * * * *")
    row = look()
    assert row.now < row.next_tick <= row.now + MINUTE
    assert (row.crontab, Message.objects.count()) == ("* * * * *", 0)
    tick = set_back(seconds=65)
    declare("0 3 1 1 *")
    assert look().last_tick == tick
    assert "Periodic close goes by '0 3 1 1 *', UTC from now on." in caplog.text


def test_in_a_rolling_deploy_the_older_workers_go_on_until_they_are_gone(declare: Declare, bookings: Queue) -> None:
    old = declare("0 3 1 1 *")
    alive("old", old.revision)
    new = declare("* * * * *")
    alive("new", new.revision)
    assert look().crontab == "0 3 1 1 *"
    set_back()
    assert services.send_ticks() == 0, "that is for the old ones"
    WorkerProcess.objects.filter(name="old").delete()
    assert services.send_ticks() == 1
    assert look().crontab == "* * * * *"
    declare("0 3 1 1 *")  # an old one that comes back late
    assert look().crontab == "* * * * *"


def test_a_clock_that_is_set_back_sends_no_tick_again(declare: Declare) -> None:
    declare()
    set_back()
    services.send_ticks()
    ahead = look().last_tick + 60 * MINUTE
    PeriodicCommand.objects.update(last_tick=ahead, next_tick=None)  # as an hour ago, when it was an hour later
    declare("*/2 * * * *")
    assert look().next_tick > ahead


def test_a_schedule_that_nobody_declares_any_more_is_forgotten_unless_it_is_paused(
    declare: Declare, bookings: Queue
) -> None:
    declared = declare()
    assert services.retire_periodic() == 0
    assert look().undeclared_since is None, "no worker is there to tell"
    alive("other")
    assert services.retire_periodic() == 0
    since = look().undeclared_since
    assert since is not None
    set_back()
    assert services.send_ticks() == 1, "declared again"
    assert look().undeclared_since is None
    services.retire_periodic()
    PeriodicCommand.objects.update(undeclared_since=since - timedelta(days=1, minutes=1))
    services.pause_periodic("close", actor="ann")
    assert services.retire_periodic() == 0
    services.resume_periodic("close", actor="ann")
    periodic.periodics._entries.clear()
    services.run_upkeep()
    assert PeriodicCommand.objects.count() == 0
    alive("new", declared.revision)
    declare()
    assert services.retire_periodic() == 0


def test_what_is_paused_sends_nothing_and_catches_nothing_up(declare: Declare) -> None:
    declare(missed="catch_up")
    services.pause_periodic("close", actor="ann", reason="year end")
    set_back(minutes=10)
    assert services.send_ticks() == 0
    services.resume_periodic("close", actor="ann")
    assert services.send_ticks() == 0
    row = look()
    assert row.now < row.next_tick <= row.now + MINUTE
    told = list(AuditEntry.objects.order_by("id").values_list("action", "actor", "subject", "reason"))
    assert told == [("pause periodic", "ann", "close", "year end"), ("resume periodic", "ann", "close", "")]
    with pytest.raises(PeriodicNotFound, match="no periodic command other"):
        services.pause_periodic("other", actor="ann")


def test_a_tick_that_a_full_queue_refuses_is_tried_again_and_others_go_on(
    declare: Declare, bookings: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    declare()
    services.create_queue("free", owner="sales")
    Periodic("other", Queue("free", owner="sales"), "* * * * *")
    services.send_ticks()
    services.alter_queue("bookings", max_length=1, actor="ann")
    blocking = services.send(bookings, 1).id
    due = database_now() - timedelta(seconds=30)
    PeriodicCommand.objects.update(next_tick=due)
    assert services.send_ticks() == 1
    assert PeriodicCommand.objects.get(name="close").next_tick == due
    services.send_ticks()
    assert caplog.text.count("close is due and cannot be sent") == 1
    services.cancel(bookings, [blocking])
    assert services.send_ticks() == 1


@committing
def test_the_heartbeat_the_sweep_and_beat_all_look(declare: Declare) -> None:
    declare()
    for look in (consumer.beat, lambda: consumer.sweep(stop=lambda: False), services.run_upkeep):
        set_back()
        look()
    assert Message.objects.count() == 3


def test_a_heartbeat_tells_which_schedules_the_process_has(declare: Declare) -> None:
    declared = declare()
    assert f"periodic:close@{declared.revision}" in handlers.handled_names()


@committing
def test_an_ordered_queue_gets_them_under_the_declared_key(registries: None) -> None:
    services.create_queue("trips", owner="sales", is_ordered=True)
    Periodic("close", Queue("trips", owner="sales", is_ordered=True), "* * * * *", group_key="all", missed="catch_up")
    services.send_ticks()
    set_back(minutes=3)
    assert services.send_ticks() >= 3
    assert set(Message.objects.values_list("group_key", flat=True)) == {"all"}


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)


def kill(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return bool(cursor.fetchone()[0])
