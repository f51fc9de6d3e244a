"""manage.py consume_logs: the loop of the workers, in one process; without Celery, without Redis or Valkey."""

import os
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from logs import selectors, services
from logs.declarations import Group
from logs.handlers import Reads, subscribe, subscriptions
from logs.models import LagSample
from logs.rows import Record
from logs.services import NewRecord
from mqsite import workers
from mqsite.models import AuditEntry
from mqsite.stack import processes
from tests.logs.conftest import Subscribed
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _as_before(settings: Settings) -> Iterator[None]:
    settings.MQSITE_SWEEP_SECONDS = 0.2
    yield
    workers._stopping[0] = 0
    workers._stopped.clear()


@pytest.fixture
def done(subscribed: Subscribed) -> Iterator[list[str]]:
    """Billing reads orders and fares; what it handled."""
    handled: list[str] = []

    def bill(record: Record) -> None:
        handled.append(f"{record.topic} {record.json()}")

    subscribed(bill)
    services.create_topic("fares", owner="shop")
    services.subscribe_group("billing", "fares")
    subscribe(Group("billing", owner="billing"), "fares")(bill)
    services.publish_many("orders", [NewRecord(n) for n in range(3)], boundary="shop")
    services.publish("fares", 7, boundary="shop")
    yield handled
    subscriptions._entries.pop(Reads("billing", "fares"), None)


def consume(*args: str, **options: Any) -> str:
    out = StringIO()
    call_command("consume_logs", *args, stdout=out, **options)
    return out.getvalue()


def test_once_reads_everything_to_its_end(done: list[str]) -> None:
    said = consume("--group", "billing", "--once")
    assert sorted(done) == ["fares 7", "orders 0", "orders 1", "orders 2"]
    assert "Handles orders for billing with " in said
    assert said.endswith("Handled 4.\n")
    assert consume("--group", "billing", "--once").endswith("Handled 0.\n")


def test_only_the_topics_that_are_named(done: list[str]) -> None:
    consume("--group", "billing", "--topic", "fares", "--once")
    assert done == ["fares 7"]


def test_a_record_that_fails_does_not_keep_it(done: list[str], subscribed: Subscribed) -> None:
    def fail(record: Record) -> None:
        raise KeyError(record.offset)

    subscribed(fail)
    assert consume("--group", "billing", "--once").endswith("Handled 1.\n")
    assert done == ["fares 7"]


def test_it_does_the_upkeep_that_beat_asks_for_elsewhere(done: list[str]) -> None:
    LagSample.objects.all().delete()
    consume("--group", "billing", "--once")
    assert LagSample.objects.exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--group", "biling"], r"No handler here for group biling\. Handled here: .*billing"),
        (["--topic", "ordres"], r"No handler here for topic ordres\. Handled here: .*fares"),
        (["--group", "billing", "--topic", "flights"], r"No handler here reads flights for billing\. Handled here: "),
    ],
)
def test_what_has_no_handler_is_refused_with_what_has(done: list[str], args: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        consume(*args)


HANDLERS = """
import django
django.setup()
from django.core.management import call_command
from logs.declarations import Group
from logs.handlers import subscribe
from mqsite import workers
from mqsite.models import AuditEntry
from tests.waiting import wait_until

@subscribe(Group("billing", owner="billing"), "orders")
def bill(record):
    AuditEntry.objects.create(actor="handler", action="bill", subject=str(record.offset))
    if record.text == "slow":
        print("in the handler", flush=True)
        wait_until(lambda: workers._stopping[0], seconds=20)

call_command("consume_logs", group=["billing"])
"""


def test_a_process_without_valkey_ends_on_sigterm_with_what_is_in_hand(tmp_path: Path) -> None:
    """What it had handled of the batch is committed, the rest is as if never read."""
    services.create_topic("orders", owner="shop")
    services.create_group("billing", owner="billing", topics=["orders"])
    services.publish_many("orders", [NewRecord(text) for text in ("first", "slow", "third")], boundary="shop")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "mqsite.settings",
        "DATABASE_URL": url(),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    log = tmp_path / "log"
    program = processes.Program(
        "consume_logs", [sys.executable, "-c", HANDLERS], log=log, env=environment, cwd=PROJECT, stop_seconds=20
    )
    program.start()
    try:
        wait_until(lambda: "in the handler" in log.read_text() or program.ended() is not None, seconds=30)
    finally:
        program.stop()
    assert "Stopped. Handled 2." in log.read_text()
    assert program.ended() == 0
    assert sorted(AuditEntry.objects.filter(actor="handler").values_list("subject", flat=True)) == ["0", "1"]
    (topic,) = selectors.describe_group("billing")["topics"]
    assert topic["partitions"][0]["groups"][0]["committed"] == 2
    assert topic["partitions"][0]["groups"][0]["owner"] is None


def url() -> str:
    database = connection.settings_dict
    return "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
