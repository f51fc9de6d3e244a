"""The pages of a group and of a queue say how their handlers are called, where this application has them."""

import html

import pytest
from django.contrib.auth.models import User
from django.test import Client

import logs.services
import queues.services
from logs import declarations as log_declarations
from logs.declarations import Group
from logs.handlers import subscribe, subscriptions
from mqsite.retry import Retry
from queues import declarations as queue_declarations
from queues.declarations import Queue
from queues.handlers import handle, handled

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A superuser; what a test declares is forgotten after it."""
    for registry in (queue_declarations.queues, handled, subscriptions, log_declarations.groups):
        monkeypatch.setattr(registry, "_entries", {})
    client.force_login(User.objects.create_superuser("ann"))
    return client


def opened(client: Client, address: str) -> str:
    return html.unescape(client.get(address).content.decode())


def test_a_group_and_a_queue_show_how_their_handlers_are_called(ann: Client) -> None:
    logs.services.create_topic("orders", owner="shop")
    logs.services.create_group("billing", owner="billing", topics=["orders"])
    queues.services.create_queue("bookings", owner="sales")
    assert "As this application declares" not in opened(ann, "/groups/billing/") + opened(ann, "/queues/bookings/")
    retry = Retry(attempts=5, permanent=(KeyError,))
    group = Group("billing", owner="billing")
    subscribe(group, "orders", on_failure="park", retry=retry, batch=200, rate=50, seconds=30)(_work)
    handle(Queue("bookings", owner="sales"), delivery="at_most_once", concurrency=2)(_work)
    page = opened(ann, "/groups/billing/")
    assert "tests.test_handler_pages._work" in page
    for said in (
        "transaction: what it writes to this database and the commit are one transaction",
        "up to 200 records at once",
        "parks the record and goes on",
        "up to 5 calls; waits 1 second, then 2 times as long each time, at most 5 minutes; 20% left to chance; "
        "no second call after KeyError",
        "50 records a second over all workers, 30 seconds for a call",
    ):
        assert f"<dd>{said}</dd>" in page
    page = opened(ann, "/queues/bookings/")
    for said in (
        "at most once: the ack comes before the handler, so a crash may lose a call",
        "one message at a time",
        "never called twice",
        "2 at the same time over all workers",
    ):
        assert f"<dd>{said}</dd>" in page


def _work(item: object) -> None:
    """A handler."""
