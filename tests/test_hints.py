"""Hints reach open pages in the layer's own format; giving one never fails, and never waits."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.layers import get_channel_layer
from pytest_django import Settings

from logs import tasks
from mqsite import hints, nudge
from tests.nudging import Target, forget_all, listed
from tests.waiting import wait_until

WAIT_SECONDS = 10.0
SCRIPT_SECONDS = 60

Hear = Any  # an async function: the next hint about the name that is listened for


@pytest.fixture(autouse=True)
def _sent() -> Iterator[None]:
    """No hint of one test reaches the next."""
    assert hints.flush(WAIT_SECONDS)
    yield
    assert hints.flush(WAIT_SECONDS)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A partition of the test's own."""
    forget_all()
    yield ("group", request.node.name, 0)
    forget_all()


@asynccontextmanager
async def listening(name: str) -> AsyncIterator[Hear]:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(hints.LIVE_GROUP, channel)

    async def hear() -> dict[str, Any]:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                hint = await layer.receive(channel)
                if hint["name"] == name:
                    return dict(hint)

    yield hear


# Live pages


async def test_a_hint_arrives_as_the_channel_layer_itself_would_send_it() -> None:
    async with listening("rebooking") as hear:
        hints.push_live("queues", "rebooking", "acked", count=1, messages=[{"id": 7, "label": "N14228"}])
        assert await hear() == {
            "type": "hint",
            "half": "queues",
            "name": "rebooking",
            "event": "acked",
            "count": 1,
            "messages": [{"id": 7, "label": "N14228"}],
        }


async def test_a_thousand_hints_arrive_as_few_that_add_up() -> None:
    async with listening("busy") as hear:
        for number in range(1_000):
            hints.push_live("queues", "busy", "sent", count=1, messages=[{"id": number, "label": "x"}])
        heard = [await hear()]
        while sum(hint["count"] for hint in heard) < 1_000:
            heard.append(await hear())
    assert sum(hint["count"] for hint in heard) == 1_000
    assert len(heard) < 100
    assert max(len(hint["messages"]) for hint in heard) == hints.MOST_MESSAGES


# The server is away


@pytest.fixture
def hanging() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture(params=["away", "hanging"])
def no_server(request: pytest.FixtureRequest, settings: Settings, hanging: str) -> Iterator[None]:
    real = settings.REDIS_URL
    settings.REDIS_URL = hanging if request.param == "hanging" else "redis://127.0.0.1:1/0"
    hints.client.cache_clear()
    yield
    assert hints.flush(WAIT_SECONDS)
    settings.REDIS_URL = real
    hints.client.cache_clear()
    hints._away_until = 0.0


@pytest.mark.usefixtures("no_server")
def test_without_a_server_who_gives_hints_does_not_wait() -> None:
    longest = 0.0
    deadline = time.monotonic() + 1  # longer than it takes to notice that the server is away
    while time.monotonic() < deadline:
        started = time.monotonic()
        hints.push_live("logs", "orders", "published", count=1)
        nudge.wake(tasks.consume, "billing", "orders", 0)
        longest = max(longest, time.monotonic() - started)
    assert longest < 0.4  # the hanging server would take half a second; the machine may be busy
    started = time.monotonic()
    assert hints.flush(WAIT_SECONDS)
    assert time.monotonic() - started < 2


@pytest.mark.usefixtures("no_server")
def test_without_a_server_hints_are_dropped_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        hints.push_live("logs", "orders", "published", count=1)
        assert hints.flush(WAIT_SECONDS)
    assert [record.message[:8] for record in caplog.records] == ["No hints"]


# Processes


def run_script(body: str) -> None:
    """A process of its own with Django ready; `give(n)` gives a live hint about "script" that counts n."""
    script = (
        "import multiprocessing, os, sys, django\n"
        "django.setup()\n"
        "from celery import signals\n"
        "from mqsite import hints, nudge\n"
        "from logs import tasks\n"
        "def give(count):\n"
        "    hints.push_live('logs', 'script', 'published', count=count)\n" + body
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "mqsite.settings", "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=SCRIPT_SECONDS)


async def total_heard(hear: Hear, total: int) -> int:
    heard = 0
    while heard < total:
        heard += (await hear())["count"]
    return heard


CHILDREN = """
give(1)
hints.flush()
give(10)  # in the gap after the first
child = os.fork()
if child == 0:
    give(100)
    sys.exit()
os.waitpid(child, 0)
child = os.fork()
if child == 0:  # as Celery ends a child of its prefork pool
    give(1_000)
    signals.worker_process_shutdown.send(sender=None)
    os._exit(0)
os.waitpid(child, 0)
child = multiprocessing.get_context('fork').Process(target=give, args=[10_000])
child.start()
child.join()
give(100_000)
"""


async def test_a_script_and_its_forked_children_have_sent_their_own_hints_once_they_end() -> None:
    async with listening("script") as hear:
        await asyncio.to_thread(run_script, CHILDREN)
        assert await total_heard(hear, 111_111) == 111_111


def test_a_forked_child_has_woken_once_it_ends(target: Target) -> None:
    """Its parent's connections to the broker are not its own."""
    other = ("group", "parent", 0)
    run_script(
        f"nudge.wake(tasks.consume, *{other!r})\nhints.flush()\n"
        f"child = os.fork()\nif child == 0:\n    nudge.wake(tasks.consume, *{target!r})\n    sys.exit()\n"
        "os.waitpid(child, 0)\n"
    )
    wait_until(lambda: listed() == [other, target])
