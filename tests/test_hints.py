"""Hints reach open pages in the layer's own format, wake once, and never fail or delay their sender."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from channels.layers import get_channel_layer
from django.conf import settings
from pytest_django import Settings

from mqsite import hints, nudge, outbox
from tests.waiting import wait_until


async def test_a_hint_arrives_as_the_channel_layer_itself_would_send_it() -> None:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(hints.LIVE_GROUP, channel)
    await asyncio.to_thread(
        hints.push_live, "queues", "rebooking", "acked", count=1, messages=[{"id": 7, "label": "N14228"}]
    )
    received = await asyncio.wait_for(layer.receive(channel), 5)
    assert received == {
        "type": "hint",
        "half": "queues",
        "name": "rebooking",
        "event": "acked",
        "count": 1,
        "messages": [{"id": 7, "label": "N14228"}],
    }


@pytest.fixture
def channel() -> Iterator[redis.client.PubSub]:
    """Hears what open pages hear."""
    with hints.client().pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(f"{settings.MQSITE_PREFIX}__group__{hints.LIVE_GROUP}")
        pubsub.get_message(timeout=5)
        yield pubsub


def heard(pubsub: redis.client.PubSub, name: str, count: int) -> list[dict[str, Any]]:
    """Hints of that name until their counts make up `count`."""
    layer, found = get_channel_layer(), list[dict[str, Any]]()

    def complete() -> bool:
        while message := pubsub.get_message(timeout=0):
            hint = layer.deserialize(message["data"])
            if hint["name"] == name:
                found.append(hint)
        return sum(hint["count"] for hint in found) >= count

    wait_until(complete, message=f"{count} of {name}")
    return found


def test_hints_that_come_together_are_added_up(channel: redis.client.PubSub) -> None:
    for n in range(1_000):
        hints.push_live("queues", "many", "acked", count=1, messages=[{"id": n, "label": str(n)}])
    told = heard(channel, "many", 1_000)
    assert sum(hint["count"] for hint in told) == 1_000
    assert len(told) < 100
    assert all(len(hint["messages"]) <= hints.MOST_MESSAGES for hint in told)
    assert told[0]["messages"][0] == {"id": 0, "label": "0"}


def test_what_was_given_before_a_flush_has_left_after_it(channel: redis.client.PubSub) -> None:
    hints.push_live("logs", "flushed", "published", count=2)
    assert hints.flush()
    assert [hint["count"] for hint in heard(channel, "flushed", 2)] == [2]
    assert hints.flush()  # with nothing to send


class Counted:
    """Stands in for a Celery task where only its sending counts."""

    name = "tests.counted"

    def __init__(self) -> None:
        self.sent: list[tuple[str | int, ...]] = []

    def apply_async(self, args: tuple[str | int, ...], **_: object) -> None:
        self.sent.append(args)


def test_of_many_that_ask_at_once_one_wakes() -> None:
    task: Any = Counted()
    nudge.woken(task, "one")
    for _ in range(100):
        nudge.wake(task, "one")
        hints.flush()
    assert task.sent == [("one",)]
    nudge.woken(task, "one")  # it has started: what comes now needs a task of its own
    nudge.wake(task, "one")
    nudge.wake(task, "two", 2)
    hints.flush()
    assert task.sent == [("one",), ("one",), ("two", 2)]
    nudge.woken(task, "one")
    nudge.woken(task, "two", 2)


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[Callable[[str], None]]:
    """Send hints to another address; afterwards the real server is back."""
    real = settings.REDIS_URL

    def go(url: str) -> None:
        hints.flush()
        settings.REDIS_URL = url
        hints.client.cache_clear()

    yield go
    hints.flush()
    settings.REDIS_URL = real
    hints.client.cache_clear()
    hints._away_until = 0.0


def test_while_the_server_is_away_hints_are_dropped_at_once(elsewhere: Callable[[str], None]) -> None:
    elsewhere("redis://127.0.0.1:1/0")
    started = time.monotonic()
    for _ in range(1_000):
        nudge.wake(Counted(), "x")  # type: ignore[arg-type]
        hints.push_live("logs", "orders", "published", count=1)
    assert time.monotonic() - started < 1
    assert hints.flush()


def test_a_server_that_never_answers_delays_nobody(elsewhere: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        elsewhere(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        started = time.monotonic()
        for _ in range(1_000):
            hints.push_live("logs", "orders", "published", count=1)
        assert time.monotonic() - started < 0.3  # the client's time-out is 0.5 s
        assert hints.flush(5)


def test_no_more_wait_than_there_is_room_for(elsewhere: Callable[[str], None], caplog: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        elsewhere(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        for n in range(2 * outbox.MOST_ENTRIES + 10):
            hints.push_live("logs", f"topic-{n}", "published", count=1)
        assert hints.flush(5)
    assert "hints: more than 10000 waited" in caplog.text


ENDING = """
import os, django
django.setup()
from mqsite import hints
hints.push_live("logs", "{name}", "published", count=1)
if {forks}:
    hints.flush()
    child = os.fork()
    hints.push_live("logs", "{name}", "published", count=1)
    if child:
        os.waitpid(child, 0)
"""


@pytest.mark.parametrize(("name", "forks", "count"), [("script", False, 1), ("forked", True, 3)])
def test_a_script_that_ends_and_a_forked_child_send_theirs(
    channel: redis.client.PubSub, name: str, forks: bool, count: int
) -> None:
    program = [sys.executable, "-W", "ignore", "-c", ENDING.format(name=name, forks=forks)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "mqsite.settings"}
    subprocess.run(program, check=True, timeout=30, env=environment)
    assert sum(hint["count"] for hint in heard(channel, name, count)) == count
