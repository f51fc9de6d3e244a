"""Redrives as jobs: filtered, slow enough, cancelled, and neither losing nor doubling a letter."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from mqsite.errors import Invalid
from mqsite.models import AuditEntry
from queues import consumer, selectors, services, store
from queues.declarations import Queue
from queues.errors import RedriveNotFound
from queues.models import Message, Redrive
from queues.services import NewMessage
from tests.concurrency import all_at_once, elsewhere, held_open
from tests.queues.conftest import Receive, sent_ids

pytestmark = pytest.mark.django_db(transaction=True)

Kill = Callable[..., list[int]]


@pytest.fixture
def dead(bookings: Queue, receive: Receive) -> Kill:
    """Sends so many messages and lets them die; their ids."""

    def kill(count: int, error: str = "no seat") -> list[int]:
        ids = sent_ids(bookings, [NewMessage(f"message {n}", headers=[("n", str(n))]) for n in range(count)])
        while (lease := services.receive(bookings, holder="w", max_messages=1_000)) is not None:
            services.reject(lease.token, [m.id for m in lease.messages], queue=bookings, error=error)
        return ids

    return kill


def ready(queue: str = "bookings") -> list[int]:
    return list(Message.objects.filter(state=0, queue__name=queue).order_by("id").values_list("id", flat=True))


def start(queue: str = "bookings", **options: object) -> int:
    return services.start_redrive(queue, actor="ann", **options)  # type: ignore[arg-type]


def test_all_letters_start_over_and_progress_is_told(bookings: Queue, dead: Kill) -> None:
    ids = dead(5)
    job = start(reason="partner is back")
    late = dead(1)
    assert selectors.describe_redrive(job)["state"] == "running"
    assert services.work_redrives() == 5
    told = selectors.describe_redrive(job)
    assert (told["state"], told["letters"], told["moved"], told["scanned"]) == ("done", 5, 5, 5)
    assert told["ended_at"]
    assert ready() == ids, "what died later is not its business"
    row = Message.objects.get(id=ids[0])
    assert (row.receives, row.reason, row.detail, row.died_at, row.died_receives) == (0, None, None, None, None)
    assert Message.objects.get(id=late[0]).state == Message.State.DEAD
    entry = AuditEntry.objects.get(action="start redrive")
    assert (entry.actor, entry.reason, entry.facts["letters"]) == ("ann", "partner is back", 5)
    with pytest.raises(RedriveNotFound):
        selectors.describe_redrive(job + 1)


def test_a_filter_takes_those_that_match_every_part_of_it(bookings: Queue, dead: Kill) -> None:
    seats, timeouts = dead(12, "no seat"), dead(3, "timeout")
    start(only_text="timeout")
    services.work_redrives()
    assert ready() == timeouts
    services.purge(bookings, state="ready", actor="ann")
    start(only_text="message 11")
    services.work_redrives()
    assert ready() == [seats[11]]
    Message.objects.filter(id=seats[0]).update(reason="expired", died_at="2000-01-01T00:00Z")
    start(only_reason="expired", died_after=timezone.now() - timedelta(hours=1))
    start(only_reason="rejected", died_before=timezone.now() - timedelta(hours=1))
    assert services.work_redrives() == 0
    start(only_reason="expired", died_before=timezone.now() - timedelta(hours=1))
    assert services.work_redrives() == 1


def test_chosen_letters_and_no_others(bookings: Queue, dead: Kill) -> None:
    ids = dead(4)
    services.send(bookings, "ready already")
    job = start(ids=[ids[2], ids[0], 999])
    assert services.work_redrives() == 2
    assert ready()[:2] == [ids[0], ids[2]]
    assert selectors.describe_redrive(job)["state"] == "done"
    with pytest.raises(Invalid, match="There are 0 ids"):
        start(ids=[])


def test_a_chosen_letter_that_dies_again_is_not_moved_again(bookings: Queue, dead: Kill, receive: Receive) -> None:
    ids = dead(2)
    job = start(ids=ids)
    assert len(store.redrive_step(job, limit=1_000, using="default")) == 2
    lease = receive()
    services.reject(lease.token, ids, queue=bookings, error="no seat")
    assert services.work_redrives() == 0
    assert (ready(), selectors.describe_redrive(job)["state"]) == ([], "done")


def test_another_queue_of_the_same_owner_may_take_them(bookings: Queue, dead: Kill) -> None:
    services.create_queue("slow", owner="sales")
    services.create_queue("theirs", owner="support")
    ids = dead(2)
    with pytest.raises(Invalid, match="theirs belongs to support, bookings to sales"):
        start(to="theirs")
    with pytest.raises(Invalid, match="rate_per_second is 0"):
        start(rate_per_second=0)
    start(to="slow")
    services.work_redrives()
    assert (ready("slow"), ready()) == (ids, [])
    lease = services.receive("slow", holder="w", boundary="sales")
    assert lease is not None
    assert (lease.messages[0].text, lease.messages[0].headers) == ("message 0", [("n", "0")])


def test_letters_in_a_dead_letter_queue_go_home_each_to_the_queue_it_died_in(bookings: Queue, dead: Kill) -> None:
    services.create_queue("lost", owner="sales")
    services.create_queue("trips", owner="sales", is_ordered=True, dead_letter_queue="lost")
    services.alter_queue("bookings", dead_letter_queue="lost", actor="ann")
    ids = dead(2)
    trips = sent_ids("trips", [NewMessage(n, group_key="a") for n in range(3)])
    lease = services.receive("trips", holder="w", boundary="sales")
    assert lease is not None
    services.reject(lease.token, [trips[0]], queue="trips")
    own = sent_ids("lost", [NewMessage("no letter")])
    job = start("lost")
    assert services.work_redrives() == 3
    assert selectors.describe_redrive(job)["letters"] == 3
    assert ready() == ids
    assert ready("lost") == own
    order = []
    while (lease := services.receive("trips", holder="w", boundary="sales")) is not None:
        order += [m.id for m in lease.messages]
        services.ack(lease.token, [m.id for m in lease.messages], queue="trips")
    assert order == [trips[1], trips[0], trips[2]]


def test_a_rate_is_kept(bookings: Queue, dead: Kill) -> None:
    dead(50)
    job = start(rate_per_second=10)
    Redrive.objects.update(worked_at=timezone.now())
    assert services.work_redrives(seconds=0.05) <= 1
    Redrive.objects.update(worked_at=timezone.now() - timedelta(seconds=2))
    assert 20 <= services.work_redrives() <= 32
    assert selectors.describe_redrive(job)["state"] == "running"


def test_a_cancelled_redrive_moves_no_more_and_takes_nothing_back(
    bookings: Queue, dead: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queues.services.deadletters.STEP_MESSAGES", 2)
    dead(6)
    job = start()
    store.redrive_step(job, limit=2, using="default")
    assert services.cancel_redrive(job, actor="bob", reason="wrong queue") is True
    assert services.cancel_redrive(job, actor="bob") is False
    assert services.work_redrives() == 0
    told = selectors.describe_redrive(job)
    assert (told["state"], told["moved"], len(ready())) == ("cancelled", 2, 2)
    assert AuditEntry.objects.get(action="cancel redrive").facts == {"job": job, "moved": 2}


def test_a_step_that_is_killed_never_was(bookings: Queue, dead: Kill) -> None:
    ids = dead(6)
    job = start()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert len(store.redrive_step(job, limit=4, using="default")) == 4
        _ = 1 / 0
    assert ready() == []
    assert selectors.describe_redrive(job)["moved"] == 0
    assert services.work_redrives() == 6
    assert ready() == ids


def test_many_workers_at_one_redrive_move_each_letter_once(
    bookings: Queue, dead: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queues.services.deadletters.STEP_MESSAGES", 7)
    ids = dead(200)
    jobs = [start(), start()]
    all_at_once([partial(services.work_redrives, seconds=10)] * 4)
    services.work_redrives(seconds=10)
    assert ready() == ids
    assert sum(selectors.describe_redrive(job)["moved"] for job in jobs) == 200
    assert {selectors.describe_redrive(job)["state"] for job in jobs} == {"done"}


def test_a_worker_at_a_step_holds_up_no_other(bookings: Queue, dead: Kill) -> None:
    dead(4)
    job = start()
    with held_open(lambda: store.redrive_step(job, limit=2, using="default")) as commit:
        assert elsewhere(services.work_redrives) == 0
        commit()
    assert services.work_redrives() == 2


def test_the_sweep_works_them_off(bookings: Queue, dead: Kill) -> None:
    ids = dead(3)
    start()
    consumer.sweep(stop=lambda: False)
    assert ready() == ids


def test_a_letter_without_a_key_stays_where_the_target_is_ordered(bookings: Queue, dead: Kill) -> None:
    services.create_queue("trips", owner="sales", is_ordered=True)
    (id_,) = dead(1)
    job = start(to="trips")
    assert services.work_redrives() == 0
    assert (selectors.describe_redrive(job)["state"], selectors.describe_redrive(job)["moved"]) == ("done", 0)
    assert Message.objects.get(id=id_).queue.name == "bookings"
