"""Hints reach open pages in the layer's own format, wake once, and never fail or delay their sender."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from channels.layers import get_channel_layer
from pytest_django import Settings

from mqsite import hints


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


def test_of_many_that_ask_at_once_one_wakes() -> None:
    hints.clear_nudge("one")
    assert [hints.claim_nudge("one") for _ in range(3)] == [True, False, False]
    hints.clear_nudge("one")
    assert hints.claim_nudge("one")


@pytest.fixture
def away(settings: Settings) -> Iterator[None]:
    """Nothing listens where hints go; afterwards the real server is back."""
    real = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    hints.client.cache_clear()
    yield
    settings.REDIS_URL = real
    hints.client.cache_clear()
    hints._away_until = 0.0


@pytest.mark.usefixtures("away")
def test_while_the_server_is_away_hints_are_dropped_at_once() -> None:
    started = time.monotonic()
    for _ in range(1_000):
        assert hints.claim_nudge("x") is False
        hints.push_live("logs", "orders", "published", count=1)
    assert time.monotonic() - started < 2
