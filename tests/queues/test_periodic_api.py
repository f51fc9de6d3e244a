"""Periodic commands over REST: anyone looks, the queue's owner and operators pause and resume."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from rest_framework.test import APIClient

from mqsite.models import AuditEntry, WorkerProcess
from queues import services
from queues.declarations import Queue
from queues.models import PeriodicCommand
from queues.periodic import Periodic
from tests.rest import client_of, get, post, read_pages

pytestmark = pytest.mark.django_db

NIGHTLY = "periodic/nightly/"


@pytest.fixture
def nightly(bookings: Queue) -> Periodic:
    declared = Periodic("nightly", bookings, "0 3 * * *", timezone="Europe/Berlin", grace_seconds=60)
    services.send_ticks()
    return declared


def test_each_is_told_with_its_schedule_its_last_tick_and_the_message_of_it(nightly: Periodic) -> None:
    anyone = client_of("post")
    told = get(anyone, f"/api/{NIGHTLY}")
    next_tick = told.data["next_tick"]
    assert told.data == {
        "name": "nightly",
        "queue": "bookings",
        "crontab": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "missed": "skip",
        "grace_seconds": 60.0,
        "next_tick": next_tick,
        "last_tick": None,
        "sent_at": None,
        "message_id": None,
        "paused": None,
        "declared_by": [],
    }
    WorkerProcess.objects.create(name="here", handles=[f"periodic:nightly@{nightly.revision}"])
    PeriodicCommand.objects.update(next_tick=Now() - timedelta(seconds=5))
    assert services.send_ticks() == 1
    (told,) = get(anyone, "/api/periodic/").data["periodic"]
    (message,) = get(client_of("sales"), "/api/queues/bookings/messages/").data["messages"]
    assert (told["message_id"], told["declared_by"], told["next_tick"]) == (message["id"], ["here"], next_tick)
    assert told["last_tick"] <= told["sent_at"]
    assert message["headers"][-1] == ("mq-tick", told["last_tick"].isoformat())


def test_they_come_in_pages_of_all_or_of_one_queue(bookings: Queue, nightly: Periodic) -> None:
    services.create_queue("mail", owner="post")
    for name in ("b", "a", "c"):
        Periodic(name, Queue("mail", owner="post"), "0 3 * * *")
    services.send_ticks()
    anyone = client_of("shop")
    pages = read_pages(anyone, "/api/periodic/", limit=3)
    assert [[told["name"] for told in page.data["periodic"]] for page in pages] == [["a", "b", "c"], ["nightly"]]
    pages = read_pages(anyone, "/api/periodic/", limit=2, queue="mail")
    assert [[told["name"] for told in page.data["periodic"]] for page in pages] == [["a", "b"], ["c"]]
    for wrong in ({"limit": 0}, {"limit": 101}, {"name": "a"}, {"after": "x" * 250}):
        assert get(anyone, "/api/periodic/", **wrong).status_code == 400, wrong
    assert get(APIClient(), "/api/periodic/").status_code == 401


def test_the_owner_of_the_queue_pauses_and_resumes_one_with_a_reason(nightly: Periodic) -> None:
    sales = client_of("sales")
    paused = post(sales, f"{NIGHTLY}pause/", {"reason": "year end"})
    assert paused.status_code == 200, paused.data
    assert (paused.data["paused"]["by"], paused.data["paused"]["reason"]) == ("sales", "year end")
    assert paused.data["next_tick"] is None
    assert services.send_ticks() == 0
    assert post(sales, f"{NIGHTLY}resume/", {}).data["paused"] is None
    told = list(AuditEntry.objects.order_by("id").values_list("action", "actor", "subject", "reason"))
    assert told == [("pause periodic", "sales", "nightly", "year end"), ("resume periodic", "sales", "nightly", "")]


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_others_are_told_whose_it_is_and_an_operator_may(nightly: Periodic, verb: str) -> None:
    refused = post(client_of("post"), f"{NIGHTLY}{verb}/", {})
    assert (refused.status_code, refused.data["code"]) == (403, "not_owner")
    assert "Only sales" in refused.data["message"]
    assert PeriodicCommand.objects.get().paused_at is None
    operator = APIClient()
    operator.force_authenticate(User.objects.create_superuser("ann"))
    assert post(operator, f"{NIGHTLY}{verb}/", {}).status_code == 200
    assert post(operator, f"{NIGHTLY}{verb}/", {"why": "x"}).status_code == 400


def test_one_that_is_not_there_is_not_found(bookings: Queue) -> None:
    sales = client_of("sales")
    for answer in (get(sales, f"/api/{NIGHTLY}"), post(sales, f"{NIGHTLY}pause/", {})):
        assert (answer.status_code, answer.data["code"]) == (404, "periodic_not_found")
