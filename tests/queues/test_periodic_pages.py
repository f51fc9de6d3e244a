"""Pages of periodic commands: when each is due, what it sent, what becomes of ticks that are missed."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from mqsite.models import AuditEntry, WorkerProcess
from queues import periodic_views, services
from queues.declarations import Queue
from queues.models import Message, PeriodicCommand
from queues.periodic import Periodic
from tests.queues.opening import SCRIPT, bob

pytestmark = pytest.mark.django_db


@pytest.fixture
def nightly(bookings: Queue) -> Periodic:
    declared = Periodic("nightly", bookings, "0 3 * * *", timezone="Europe/Berlin")
    services.send_ticks()
    return declared


def listed(client: Client, address: str = "/periodic/", **asked: Any) -> str:
    answer = client.get(address, asked)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert SCRIPT not in page
    return html.unescape(page)


def test_without_any_the_page_says_how_to_declare_one(ann: Client) -> None:
    page = listed(ann)
    assert "No periodic command yet" in page
    assert '"nightly-close", BOOKINGS, "0 3 * * *"' in page
    assert 'id="periodic"' not in listed(ann, "/queues/bookings/")


def test_one_is_shown_with_its_ticks_on_the_list_and_on_the_page_of_its_queue(ann: Client, nightly: Periodic) -> None:
    WorkerProcess.objects.create(name="here", handles=[f"periodic:nightly@{nightly.revision}"])
    for address in ("/periodic/", "/queues/bookings/"):
        page = listed(ann, address)
        for said in ("0 3 * * *", "Europe/Berlin", "none yet", ">in ", "if at most 5 minutes late", "1 process"):
            assert said in page, f"{said} on {address}"
        assert ">runs</span>" in page
    PeriodicCommand.objects.update(next_tick=Now() - timedelta(seconds=100))
    page = listed(ann)
    assert "2 minutes overdue" in page
    assert "its send is refused, or no worker looks" in page
    assert services.send_ticks() == 1
    (sent,) = Message.objects.all()
    page = listed(ann)
    assert f'href="/queues/bookings/messages/{sent.id}/"' in page
    assert re.search(r">1 min \d+ s ago</span> <span class=\"sub nw\">sent ", page)
    WorkerProcess.objects.all().delete()
    assert "nobody sends it" in listed(ann)


def test_they_are_found_by_name_and_queue_and_paged(
    ann: Client, nightly: Periodic, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.create_queue("mail", owner="post")
    for name in ("b", "a", "c"):
        Periodic(name, Queue("mail", owner="post"), "0 3 * * *", missed="catch_up")
    services.send_ticks()
    page = listed(ann, q="MAIL")
    assert [f'id="periodic-{name}"' in page for name in ("a", "b", "c", "nightly")] == [True, True, True, False]
    assert "each is sent, at most the newest 100" in page
    assert 'href="/periodic/?q=mail"' in listed(ann, "/queues/mail/")
    monkeypatch.setattr(periodic_views, "MOST_ROWS", 2)
    page = listed(ann, q="mail")
    assert "?q=mail&after=b" in page
    page = listed(ann, q="mail", after="b")
    assert ('id="periodic-c"' in page, 'id="periodic-a"' in page, "Next page" in page) == (True, False, False)
    assert "No periodic command of" in listed(ann, q=SCRIPT)


def test_one_is_paused_with_a_reason_and_resumed(ann: Client, nightly: Periodic) -> None:
    address = "/periodic/nightly/pause/"
    assert "nightly sends nothing to bookings until somebody resumes it." in listed(ann, address)
    assert "Say why." in html.unescape(ann.post(address, {"reason": " "}).content.decode())
    page = html.unescape(ann.post(address, {"reason": "year end"}, follow=True).content.decode())
    for said in ("Paused nightly.", ">paused</span>", "by ann at", ": year end", "when it resumes", ">Resume<"):
        assert said in page
    assert "is paused already" in listed(ann, address)
    assert ann.get("/periodic/nightly/resume/").status_code == 405
    page = ann.post("/periodic/nightly/resume/", follow=True).content.decode()
    assert "Resumed nightly: it goes on with the first tick from now." in page
    told = list(AuditEntry.objects.order_by("id").values_list("action", "actor", "subject", "reason"))
    assert told == [("pause periodic", "ann", "nightly", "year end"), ("resume periodic", "ann", "nightly", "")]


def test_who_may_only_look_is_offered_no_verb_and_refused_each(ann: Client, nightly: Periodic) -> None:
    viewer = bob("view_message")
    assert "Pause…" not in listed(viewer)
    assert viewer.get("/periodic/nightly/pause/").status_code == 403
    assert viewer.post("/periodic/nightly/pause/", {"reason": "x"}).status_code == 403
    assert viewer.post("/periodic/nightly/resume/").status_code == 403
    assert ann.get("/periodic/other/pause/").status_code == ann.post("/periodic/other/resume/").status_code == 404
    assert Client().get("/periodic/")["Location"].startswith("/login/")
