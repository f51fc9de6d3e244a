"""Hints through Redis or Valkey: that there is work, that a picture changed.

Nothing here may fail or delay its caller. While the server is away every hint is
dropped at once; consumers then find their work by sweeping.
"""

import logging
import time
from functools import cache
from typing import Any

import redis
from channels.layers import get_channel_layer
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

LIVE_GROUP = "live"
NUDGE_SECONDS = 5  # a nudge that is lost blocks the next one for that long
AWAY_SECONDS = 2.0  # after a failure, do not try again for that long
MOST_MESSAGES = 24

_away_until = 0.0


@cache
def client() -> "redis.Redis":
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.3, retry=Retry(NoBackoff(), 0)
    )


def claim_nudge(name: str) -> bool:
    """Whether the caller should wake the consumer of `name`: true for one of many that ask at once."""
    return bool(_call(lambda c: c.set(_nudge_key(name), 1, nx=True, ex=NUDGE_SECONDS)))


def clear_nudge(name: str) -> None:
    """The consumer of `name` has started: what comes from now on needs a nudge of its own."""
    _call(lambda c: c.delete(_nudge_key(name)))


def push_live(half: str, name: str, event: str, *, count: int, messages: list[dict[str, Any]] | None = None) -> None:
    """Tell the open pages that something moved. They ask the database what."""
    hint = {"type": "hint", "half": half, "name": name, "event": event, "count": count}
    hint["messages"] = (messages or [])[:MOST_MESSAGES]
    layer = get_channel_layer()
    if layer is None:
        return
    # The layer's own group_send opens an event loop and a connection each time: 4.5 ms against 0.2.
    # Its wire format (channels_redis.pubsub) is pinned by a test.
    channel = f"{settings.MQSITE_PREFIX}__group__{LIVE_GROUP}"
    _call(lambda c: c.publish(channel, layer.serialize(hint)))


def _nudge_key(name: str) -> str:
    return f"{settings.MQSITE_PREFIX}:nudge:{name}"


def _call(command: Any) -> Any:
    global _away_until
    if time.monotonic() < _away_until:
        return None
    try:
        return command(client())
    except redis.RedisError as error:
        _away_until = time.monotonic() + AWAY_SECONDS
        logger.warning("No hints for %s s, consumers will find their work by sweeping: %s", AWAY_SECONDS, error)
        return None
