"""Hints through Redis or Valkey: that there is work, that a picture changed.

Nothing here may fail or delay its caller: threads send the hints (`mqsite.outbox`), one to the workers and one to
the pages, all that have come together in one round trip. While the server is away every hint is dropped
at once; consumers then find their work by sweeping.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

import redis
from channels.layers import get_channel_layer
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from mqsite.outbox import EXIT_SECONDS, MOST_DETAILS, Entry, Outbox

T = TypeVar("T")
logger = logging.getLogger(__name__)

LIVE_GROUP = "live"
ANSWER_SECONDS = 0.5
AWAY_SECONDS = 2.0  # after a failure, do not try again for that long
MOST_MESSAGES = MOST_DETAILS

_away_until = 0.0
_is_muted = False


class Hint(Protocol):
    """One command to the server, and what to do about its answer. Equal ones that wait together are one."""

    def ask(self, pipeline: Pipeline, entry: Entry) -> object: ...

    def hear(self, answer: Any) -> object: ...

    def __hash__(self) -> int: ...


@cache
def client() -> "redis.Redis":
    return connect(ANSWER_SECONDS)


def connect(answer_seconds: float) -> "redis.Redis":
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=answer_seconds, socket_connect_timeout=0.3, retry=Retry(NoBackoff(), 0)
    )


def push_live(half: str, name: str, event: str, *, count: int, messages: Sequence[dict[str, Any]] = ()) -> None:
    """Tell the open pages soon that something moved. They ask the database what."""
    if not _is_muted and get_channel_layer() is not None:
        _to_pages.put(Live(half, name, event), count=count, details=messages)


def give(hint: Hint) -> None:
    """Send a hint to a worker, at once if not many came before."""
    if not _is_muted:
        _to_workers.put(hint)


@contextmanager
def muted() -> Iterator[None]:
    """For tests, which wake no worker and need no server: hints are dropped."""
    global _is_muted
    before, _is_muted = _is_muted, True
    try:
        yield
    finally:
        _is_muted = before


def flush(seconds: float = EXIT_SECONDS) -> bool:
    """Wait until all hints given so far are sent or dropped; whether that was within the time."""
    until = time.monotonic() + seconds
    return all(box.flush(max(0.0, until - time.monotonic())) for box in (_to_workers, _to_pages))


def attempt(command: Callable[[], T]) -> T | None:
    """What the command answers; None while the server is away."""
    global _away_until
    if time.monotonic() < _away_until:
        return None
    try:
        return command()
    except (redis.RedisError, OperationalError, OSError) as error:
        _away_until = time.monotonic() + AWAY_SECONDS
        logger.warning("No hints for %s s, consumers will find their work by sweeping: %s", AWAY_SECONDS, error)
        return None


class Live(NamedTuple):
    """For the open pages."""

    half: str
    name: str
    event: str

    def ask(self, pipeline: Pipeline, entry: Entry) -> None:
        # The layer's own group_send opens an event loop and a connection each time: 4.5 ms against 0.2.
        # Its wire format (channels_redis.pubsub) is pinned by a test.
        hint = {"type": "hint", **self._asdict(), "count": entry.count, "messages": entry.details}
        channel = f"{settings.MQSITE_PREFIX}__group__{LIVE_GROUP}"
        pipeline.publish(channel, get_channel_layer().serialize(hint))

    def hear(self, answer: int) -> None:
        """How many processes heard it: of no interest."""


def _send(waiting: dict[Hint, Entry]) -> None:
    with client().pipeline(transaction=False) as pipeline:
        for hint, entry in waiting.items():
            hint.ask(pipeline, entry)
        answers = attempt(pipeline.execute)
    for hint, answer in zip(waiting, answers or (), strict=False):  # none came from a server that is away
        hint.hear(answer)


_to_pages: Outbox[Hint] = Outbox(_send, gap_seconds=0.05, most_gap_seconds=0.2)  # five pictures a second they show
_to_workers: Outbox[Hint] = Outbox(_send, gap_seconds=0.002, most_gap_seconds=0.01)  # what waits, a handler waits for
