"""Who works: processes alive and vanished, what nobody handles; as a page, live, over REST and in the admin."""

import html
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

import logs.services
import queues.services
from logs import declarations as log_declarations
from logs.declarations import Group
from logs.handlers import subscribe, subscriptions
from mqsite import selectors, worker_pictures, workers
from mqsite.models import WorkerProcess
from mqsite.worker_pages import WorkersSocket
from queues import declarations as queue_declarations
from queues.declarations import Queue
from queues.handlers import handle, handled
from tests.rest import client_of, get

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    registries = (queue_declarations.queues, handled, subscriptions, log_declarations.groups)
    for registry in registries:
        monkeypatch.setattr(registry, "_entries", {})


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def process(number: int, *, silent_seconds: float = 0, **told: Any) -> str:
    name = f"web-{number}.example:{number}:0a1b2c3d"
    WorkerProcess.objects.create(name=name, seen_at=Now() - timedelta(seconds=silent_seconds), **told)
    return name


def opened(client: Client, address: str = "/workers/", **asked: Any) -> str:
    answer = client.get(address, asked)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert SCRIPT not in page
    return html.unescape(page)


def listed() -> list[tuple[str, str]]:
    return [(handler["name"], handler["state"]) for handler in selectors.list_handlers()]


def test_each_process_tells_what_it_does(ann: Client) -> None:
    process(
        1,
        handles=["logs:billing:orders", "queues:bookings"],
        working_on=["orders-3 for billing", f"bookings {SCRIPT}"],
        handled=12_345,
        handled_last_minute=678,
        last_error=f"bookings message 7: ValueError('{SCRIPT}')",
        failed_at="2026-01-05T10:00Z",
    )
    page = opened(ann)
    assert "1 worker process alive</h1>" in page
    for said in ("web-1:1<", "12,345<", "678<", f"orders-3 for billing, bookings {SCRIPT}<", "ValueError(", "5 Jan"):
        assert said in page
    assert "orders for billing, queue bookings</p>" in page
    assert "none has vanished" in page


def test_who_vanished_is_said_and_what_nobody_handles_now(ann: Client) -> None:
    queues.services.create_queue("bookings", owner="sales")
    process(1, silent_seconds=70, handles=["queues:bookings"], working_on=["bookings"], handled_last_minute=678)
    page = opened(ann)
    assert "<title>No worker process is alive, nobody handles queue bookings · Workers · mqsite</title>" in page
    assert "vanished 1 min ago" in page
    assert "was at bookings" in page
    assert "678" not in page
    assert "<span>1 process vanished</span>" in page
    assert "web-1:1 did, and vanished" in page
    process(2, handles=["queues:bookings"])
    page = opened(ann)
    assert "1 worker process alive</h1>" in page
    assert "nobody handles" not in page.partition("What nobody handles comes first")[2]


def test_a_declared_handler_without_a_worker_is_missing_and_a_queue_without_any_is_not() -> None:
    examples = listed()
    logs.services.create_topic("orders", owner="shop")
    for group in ("billing", "by-hand", "nobodys"):
        logs.services.create_group(group, owner="billing", topics=["orders"])
    for name in ("bookings", "lost", "alone"):
        queues.services.create_queue(name, owner="sales")
    queues.services.alter_queue("alone", dead_letter_queue="lost", actor="ann")
    handle(Queue("bookings", owner="sales"))(lambda message: None)
    subscribe(Group("billing", owner="billing"), "orders")(lambda record: None)
    logs.services.join_group("by-hand", boundary="billing")
    expected = [
        ("logs:billing:orders", "missing"),
        ("queues:bookings", "missing"),
        ("logs:nobodys:orders", "none"),
        ("queues:alone", "none"),
    ]
    assert [told for told in listed() if told not in examples] == expected
    process(1, handles=["queues:bookings"])
    assert ("queues:bookings", "handled") in listed()
    queues.services.send("alone", 1)
    assert queues.services.receive("alone", holder="till", boundary="sales")
    assert ("queues:alone", "none") not in listed()


def test_the_heading_names_few_and_counts_many() -> None:
    missing = [{"name": f"queues:q{n}", "state": "missing"} for n in range(4)]
    alive = {"alive": 2, "slowest_heartbeat_seconds": 1.0}
    assert worker_pictures.draw_head(alive, [], missing[:2])["heading"] == (
        "2 worker processes alive, nobody handles queue q0 and queue q1"
    )
    assert worker_pictures.draw_head(alive, [], missing)["heading"].endswith("nobody handles 4 of what has a handler")


def test_without_a_worker_the_page_says_how_to_start_one(ann: Client) -> None:
    page = opened(ann)
    assert "No worker process is alive</h1>" in page
    assert "celery -A mqsite worker" in page
    assert 'href="/workers/"' in opened(ann, "/")


def test_many_processes_come_in_pages(ann: Client) -> None:
    names = [process(n) for n in range(1, 4)]
    assert [len(workers.list_processes(limit=n)[0]) for n in (1, 3)] == [1, 3]
    page, mark = workers.list_processes(limit=2)
    assert ([p["name"] for p in page], mark) == (names[:2], names[1])
    page, mark = workers.list_processes(after=names[1], limit=2)
    assert ([p["name"] for p in page], mark) == (names[2:], None)
    shown = opened(ann, after=names[1])
    assert ("web-1:1" in shown, "web-3:3<" in shown) == (False, True)
    assert "ws/workers/?after=web-2" in shown
    assert "No process after that" in opened(ann, after="x")


def test_the_shape_of_the_live_page_changes_when_a_process_vanishes() -> None:
    process(1, handles=["queues:bookings"])
    socket = WorkersSocket()
    socket.scope = {"query_string": b""}
    before = socket.draw()
    WorkerProcess.objects.update(seen_at=Now() - timedelta(seconds=60))
    socket.handlers_at = float("-inf")
    after = socket.draw()
    for part in ("processes", "handlers"):
        assert before[part]["shape"] != after[part]["shape"]
    assert after["workers"]["heading"] == "No worker process is alive, nobody handles queue bookings"
    socket.scope = {"query_string": b"after=z"}
    assert socket.draw()["processes"]["rows"] == []


def test_over_rest_any_key_reads_them() -> None:
    first = process(1, handled=5, handles=["queues:bookings"])
    second = process(2, silent_seconds=60, handles=["queues:mail"])
    client = client_of("shop")
    answer = get(client, "/api/workers/", limit=1)
    assert answer.data["next_after"] == first
    (told,) = answer.data["workers"]
    assert (told["name"], told["is_alive"], told["handled"], told["last_error"]) == (first, True, 5, "")
    assert 0 <= told["heartbeat_seconds_ago"] < 5
    assert answer.data["not_handled"] == ["queues:mail"]
    answer = get(client, "/api/workers/", after=first)
    assert ([p["name"] for p in answer.data["workers"]], answer.data["next_after"]) == ([second], None)
    assert answer.data["workers"][0]["is_alive"] is False
    for wrong in ({"limit": 0}, {"limit": 101}, {"before": "x"}, {"after": "x" * 250}):
        assert get(client, "/api/workers/", **wrong).status_code == 400
    assert get(APIClient(), "/api/workers/").status_code in (401, 403)


def test_over_rest_an_error_is_told_to_the_boundary_whose_handler_failed_and_to_staff() -> None:
    process(1, last_error="bookings message 7: Refused('Ann Smith')", failed_for="sales", failed_at="2026-01-05T10:00Z")
    process(2, last_error="before it was known whose", failed_at="2026-01-05T10:00Z")
    staff, person = APIClient(), APIClient()
    staff.force_authenticate(User.objects.create_user("bob", is_staff=True))
    person.force_authenticate(User.objects.create_user("eve"))
    told = [
        [each["last_error"] for each in get(asking, "/api/workers/").data["workers"]]
        for asking in (client_of("sales"), staff, client_of("shop"), person)
    ]
    errors = ["bookings message 7: Refused('Ann Smith')", "before it was known whose"]
    assert told == [[errors[0], None], errors, [None, None], [None, None]]
    assert get(person, "/api/workers/").data["workers"][0]["failed_for"] == "sales"


def test_the_admin_shows_them_and_leads_to_the_page(ann: Client) -> None:
    process(1, working_on=["bookings"], last_error=f"KeyError('{SCRIPT}')")
    page = opened(ann, reverse("admin:mqsite_workerprocess_changelist"))
    assert "KeyError(" in page
    assert 'href="/workers/"' in page


def test_without_a_login_there_is_nothing_to_see() -> None:
    assert Client().get("/workers/")["Location"].startswith("/login/")
