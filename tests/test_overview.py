"""What the front page says needs attention."""

import html
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from pytest_django.fixtures import Settings

from logs import selectors, services
from logs.models import ParkedRecord
from logs.selectors import parked as parked_selectors
from mqsite.models import WorkerProcess
from tests.logs.parking import SCRIPT, create_billing, park
from tests.plans import plan_of, scans

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client) -> Client:
    create_billing()
    WorkerProcess.objects.create(name="here")
    client.force_login(User.objects.create_superuser("ann"))
    return client


def opened(client: Client) -> str:
    answer = client.get("/")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert SCRIPT not in page
    return html.unescape(page)


def test_what_a_group_has_parked_needs_attention(ann: Client) -> None:
    assert "Everything is keeping up." in opened(ann)
    first, *_ = park(3)
    ParkedRecord.objects.filter(id=first).update(parked_at=Now() - timedelta(minutes=12))
    page = opened(ann)
    assert "billing has parked 3 records of orders. The rest is keeping up.</h1>" in page
    assert "12 minutes ago. They wait until someone retries or drops them.</p>" in page
    assert 'href="/groups/billing/parked/?topic=orders"' in page
    assert "See the 3 records" in page
    services.retry_parked("billing", [first], actor="ann")
    assert "drops them. 1 will be tried again.</p>" in opened(ann)
    services.retry_parked("billing", actor="ann")
    assert "They wait for a worker to try them again.</p>" in opened(ann)


def test_each_topic_of_each_group_is_told_and_the_most_come_first(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    park(2)
    park(1, topic="refunds")
    found = [(each.group, each.topic, each.records, each.is_more) for each in selectors.summarise_parked()]
    assert found == [("billing", "orders", 2, False), ("billing", "refunds", 1, False)]
    page = opened(ann)
    assert page.index("parked 2 records of orders") < page.index("billing has parked 1 record of refunds")
    assert "It waits until someone retries or drops it." in page
    monkeypatch.setattr(parked_selectors, "MOST_COUNTED", 1)
    assert "billing has parked 1 or more records of orders" in opened(ann)


def test_without_a_login_there_is_no_link_and_nothing_of_the_record(ann: Client, settings: Settings) -> None:
    settings.MQSITE_OPEN_OVERVIEW = True
    park()
    page = opened(Client())
    assert "billing has parked 1 record of orders" in page
    assert "/groups/billing/" not in page
    assert "no credit" not in page


def test_however_much_is_parked_only_the_oldest_of_each_group_are_read(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    park()
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO logs_parked (group_id, topic, partition, "offset", timestamp, reason, attempts, detail,'
            " retry_asked_by) SELECT group_id, topic, 0, n, timestamp, reason, attempts, '', ''"
            " FROM logs_parked, generate_series(1, 5000) n"
        )
        cursor.execute("ANALYZE logs_parked")
    monkeypatch.setattr(parked_selectors, "MOST_COUNTED", 10)
    (told,) = selectors.summarise_parked()
    assert (told.records, told.is_more) == (10, True)
    assert scans(plan_of("logs", "parked", most=10, limit=10))["logs_parked"] == {"logs_parked_group"}
