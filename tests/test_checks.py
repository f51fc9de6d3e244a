"""What is wrong with declarations and handlers is said at start-up, with what to change."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from logs import services as logs
from logs.declarations import Group, groups, topics
from logs.handlers import subscribe, subscriptions
from mqsite import checks, discovery
from mqsite.errors import Invalid
from mqsite.registry import Registry
from queues import services as queues
from queues.declarations import Queue
from queues.declarations import queues as declared_queues
from queues.handlers import handle, handled

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    registries: list[Registry[Any, Any]] = [topics, groups, subscriptions, declared_queues, handled]
    for registry in registries:
        monkeypatch.setattr(registry, "_entries", {})
        monkeypatch.setattr(registry, "clashes", [])
    monkeypatch.setattr(discovery, "faults", [])


def says() -> list[str]:
    return [each.msg for each in run_checks(tags=[checks.TAG])]


def first(record: object) -> None: ...


def second(record: object) -> None: ...


def test_two_handlers_of_one_queue_or_of_one_group_and_topic_are_named() -> None:
    bookings, billing = Queue("bookings", owner="sales"), Group("billing", owner="billing")
    for handler in (first, second, first):
        handle(bookings)(handler)
        subscribe(billing, "orders")(handler)
    assert says() == [
        "Handler of orders for billing is declared twice, differently: tests.test_checks.first and "
        "tests.test_checks.second.",
        "Handler of bookings is declared twice, differently: tests.test_checks.first and tests.test_checks.second.",
    ]


def test_one_function_with_other_options_and_a_group_with_other_settings_are_told_apart() -> None:
    handle(Queue("bookings", owner="sales"))(first)
    handle(Queue("bookings", owner="sales"), batch=5)(first)
    Group("billing", owner="billing")
    Group("billing", owner="billing", auto_offset_reset="latest")
    group, handler = says()
    assert group.startswith("Group billing is declared twice, differently: Group(name='billing'")
    assert "auto_offset_reset='latest'" in group
    assert handler.startswith("Handler of bookings is declared twice, differently: Handled(")
    assert "batch=5" in handler


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("from queues.handlers import nothing_like_it", "cannot be imported: ImportError: cannot import name"),
        (
            "from queues.handlers import handle\nfrom queues.declarations import Queue\n"
            "@handle(Queue('bookings', owner='sales'), delivery='exactly_once')\ndef book(message): ...",
            "Invalid: broken.book: delivery is 'exactly_once'; allowed are transaction, at_least_once, at_most_once.",
        ),
        ("def book(:", "SyntaxError"),
    ],
)
def test_consumers_that_cannot_be_imported_are_a_sentence_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str, fault: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    discovery.import_consumers("broken")
    (said,) = says()
    assert said.startswith("broken cannot be imported: ")
    assert fault in said
    assert "its handlers are missing" in caplog.text


@pytest.mark.parametrize(
    ("declare", "fault"),
    [
        (lambda: handle("bookings"), "handle takes a declared Queue, not 'bookings'"),  # type: ignore[arg-type]
        (lambda: subscribe("billing", "orders"), "subscribe takes a declared Group"),  # type: ignore[arg-type]
        (lambda: subscribe(Group("billing", owner="billing")), "and the topics it reads"),
        (
            lambda: subscribe(Group("billing", owner="billing"), "orders", on_failure="drop"),
            "on_failure is 'drop'; allowed are block, park",
        ),
    ],
)
def test_a_decorator_says_what_it_takes(declare: Callable[[], object], fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        declare()


@pytest.mark.django_db
def test_with_a_database_what_does_not_exist_or_belongs_to_others_is_found() -> None:
    logs.create_group("accounting", owner="finance")
    queues.create_queue("bookings", owner="support")
    subscribe(Group("billing", owner="billing"), "ordres")(first)
    subscribe(Group("accounting", owner="billing"), "ordres")(second)
    handle(Queue("bookings", owner="sales"))(first)
    handle(Queue("refunds", owner="sales"))(first)
    found = run_checks(tags=[checks.TAG], databases=["default"])
    assert sorted(each.msg for each in found) == [
        "Group accounting is read here for billing, but finance owns it.",
        "Group accounting reads topic ordres, which is neither declared nor in the database.",
        "Group billing reads topic ordres, which is neither declared nor in the database.",
        "Queue bookings is handled here for sales, but support owns it.",
    ]
    assert says() == [], "nobody asked for the database"


WORKER = """
import sys
sys.path.insert(0, {folder!r})
import django
django.setup()
from mqsite import discovery
discovery.import_consumers("broken_consumers")
from mqsite.celery import app
app.Worker(pool="solo", queues=["nobody-sends-here"]).start()
"""


def test_a_worker_does_not_start_broken_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken_consumers.py").write_text("import nothing_like_it")
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "mqsite.settings"}
    code = WORKER.format(folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=PROJECT, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "This worker does not start:" in done.stderr
    assert "broken_consumers cannot be imported: ModuleNotFoundError" in done.stderr
