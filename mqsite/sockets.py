"""Live pages: snapshots over a WebSocket, at most five a second, shared by all pages of this process.

A hint (`mqsite.hints`) only says that something moved; what a page shows is read from
the database. Without Redis or Valkey no hint arrives and the same snapshots are sent
every TICK_SECONDS instead. One subscription serves all sockets of the process: a
socket of its own per page would also die with the channel layer.
"""

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.utils import timezone

from mqsite.errors import NotFound
from mqsite.hints import LIVE_GROUP

logger = logging.getLogger(__name__)

GAP_SECONDS = 0.2  # between two snapshots to one page, and between two reads of the same snapshot
TICK_SECONDS = 1.5  # a snapshot at least this often, so that ages move and a lost hint is only late
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 10.0  # to subscribe again
SUBSCRIBE_SECONDS = 3.0
MOST_PENDING = 500  # hints kept one by one for the next frame; older ones are only counted
MOST_MESSAGES = 48  # named messages in one frame, per queue

NOT_ALLOWED, NOT_FOUND, FAILED = 4403, 4404, 1011

Hint = dict[str, Any]
Sections = dict[str, Any]  # the parts of a page by key, each JSON-ready


class SnapshotSocket(AsyncWebsocketConsumer):
    """Sends the parts of its page that changed, and the queue events in between.

    A frame: `{"at": "10:41:08", "keys": [all parts], "events": {queue: {...}}, "sections": {changed parts}}`.
    The page says `pause` while it is hidden and `resume` when it is seen again.
    """

    channel_layer_alias = "none of its own"  # see Hub
    subject_half: ClassVar[str | None] = None  # hears of one half only

    def draw(self) -> Sections:
        """Read and draw everything the page shows. Runs in a thread; may raise NotFound."""
        raise NotImplementedError

    def snapshot_key(self) -> tuple[Any, ...]:
        """Sockets with the same key show the same snapshot."""
        return (type(self), self.name, self.payload_free)

    def is_allowed(self) -> bool:
        return bool(self.scope["user"].is_authenticated)

    async def connect(self) -> None:
        await self.accept()  # first, or the browser is told nothing but "failed"
        self.name = self.scope["url_route"]["kwargs"].get("name")
        self.payload_free = not self.scope["user"].is_authenticated
        if not self.is_allowed():
            return await self.close(NOT_ALLOWED)
        self.pending = Pending()
        self.changed_at = 0.0
        self.wake = asyncio.Event()
        self.visible = asyncio.Event()
        self.visible.set()
        self.hub = Hub.current()
        self.snapshots = self.hub.snapshots(self.snapshot_key(), self.draw)
        self.hub.join(self.hear)
        self.pushing = asyncio.create_task(self._push())

    async def disconnect(self, code: int) -> None:
        if hasattr(self, "pushing"):
            self.hub.leave(self.hear)
            self.pushing.cancel()
            with suppress(asyncio.CancelledError):
                await self.pushing

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data == "pause":
            self.visible.clear()
        elif text_data == "resume":
            self.visible.set()
            self.wake.set()

    def hear(self, hint: Hint) -> None:
        """Something moved. Called in the event loop, possibly thousands of times a second."""
        if self.subject_half and (hint["half"], hint["name"]) != (self.subject_half, self.name):
            return
        now = asyncio.get_running_loop().time()
        self.changed_at = now
        if hint["half"] == "queues":
            self.pending.add(now, hint)
        self.wake.set()

    async def _push(self) -> None:
        sent: dict[str, str] = {}
        while True:
            await self.visible.wait()
            try:
                snapshot = await self.snapshots.read(since=self.changed_at)
            except NotFound:
                return await self.close(NOT_FOUND)
            except Exception:  # the database is away: the page keeps what it has and comes back
                logger.exception("No snapshot for %s", self.scope["path"])
                return await self.close(FAILED)
            await self.send(text_data=self._frame(snapshot, sent))
            sent = snapshot.sections
            if self.changed_at <= snapshot.started_at:
                self.wake.clear()
            await asyncio.sleep(GAP_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), TICK_SECONDS - GAP_SECONDS)

    def _frame(self, snapshot: "Snapshot", sent: dict[str, str]) -> str:
        """Each part was encoded once for all pages; only the frame around them is this page's own."""
        parts = ",".join(
            f"{json.dumps(key)}:{part}" for key, part in snapshot.sections.items() if sent.get(key) != part
        )
        events = self.pending.take(until=snapshot.started_at, payload_free=self.payload_free)
        keys = list(snapshot.sections)
        head = json.dumps({"at": snapshot.at, "keys": keys, "events": events}, separators=(",", ":"))
        return f'{head[:-1]},"sections":{{{parts}}}}}'


class Pending:
    """The queue events since the last frame. Bounded: above the limit they are counted, not named."""

    def __init__(self) -> None:
        self._hints: deque[tuple[float, Hint]] = deque()
        self._counted: dict[str, Counter[str]] = {}

    def add(self, at: float, hint: Hint) -> None:
        self._hints.append((at, hint))
        if len(self._hints) > MOST_PENDING:
            self._count(self._hints.popleft()[1])

    def take(self, *, until: float, payload_free: bool) -> dict[str, Any]:
        """What happened before a snapshot was begun: it shows all of that."""
        messages: dict[str, list[dict[str, str]]] = {}
        while self._hints and self._hints[0][0] <= until:
            hint = self._hints.popleft()[1]
            self._count(hint)
            named = messages.setdefault(hint["name"], [])
            named += [_name(m, hint["event"], payload_free) for m in hint.get("messages", [])]
        counted, self._counted = self._counted, {}
        return {
            queue: {"counts": counts, "messages": messages.get(queue, [])[:MOST_MESSAGES]}
            for queue, counts in counted.items()
        }

    def _count(self, hint: Hint) -> None:
        self._counted.setdefault(hint["name"], Counter())[hint["event"]] += hint["count"]


def _name(message: dict[str, Any], event: str, payload_free: bool) -> dict[str, str]:
    number = str(message["id"])
    return {"event": event, "id": number, "label": number if payload_free else str(message["label"])}


@dataclass
class Snapshot:
    started_at: float  # by the event loop's clock
    at: str  # by the server's, for people
    sections: dict[str, str]  # encoded


@dataclass
class Snapshots:
    """The snapshots of one page, read once for all sockets that show it."""

    draw: Callable[[], Sections]
    last: Snapshot = field(default_factory=lambda: Snapshot(float("-inf"), "", {}))
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, *, since: float) -> Snapshot:
        """A snapshot begun after `since`, and not more than GAP_SECONDS ago."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with self.lock:
            if self.last.started_at >= max(since, asked_at - GAP_SECONDS):
                return self.last
            await asyncio.sleep(self.last.started_at + GAP_SECONDS - loop.time())
            started_at = loop.time()
            sections = await database_sync_to_async(self._encode)()
            self.last = Snapshot(started_at, f"{timezone.localtime():%H:%M:%S}", sections)
            return self.last

    def _encode(self) -> dict[str, str]:
        return {key: json.dumps(part, separators=(",", ":")) for key, part in self.draw().items()}


class Hub:
    """What the sockets of one process share: the subscription to hints, and the snapshots."""

    _hubs: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, "Hub"]] = WeakKeyDictionary()

    @classmethod
    def current(cls) -> "Hub":
        return cls._hubs.setdefault(asyncio.get_running_loop(), cls())

    def __init__(self) -> None:
        self._listeners: set[Callable[[Hint], None]] = set()
        self._listening: asyncio.Task[None] | None = None
        self.subscribed = asyncio.Event()
        self._snapshots: WeakValueDictionary[tuple[Any, ...], Snapshots] = WeakValueDictionary()

    def snapshots(self, key: tuple[Any, ...], draw: Callable[[], Sections]) -> Snapshots:
        found = self._snapshots.get(key)
        if found is None:
            found = self._snapshots[key] = Snapshots(draw)
        return found

    def join(self, listener: Callable[[Hint], None]) -> None:
        self._listeners.add(listener)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())

    def leave(self, listener: Callable[[Hint], None]) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._listening is not None:
            self._listening.cancel()
            self._listening = None
            self.subscribed.clear()

    async def _listen(self) -> None:
        wait_seconds = FIRST_RETRY_SECONDS
        while True:
            layer = get_channel_layer()
            try:
                async with asyncio.timeout(SUBSCRIBE_SECONDS):
                    channel = await layer.new_channel()
                    await layer.group_add(LIVE_GROUP, channel)
                wait_seconds = FIRST_RETRY_SECONDS
                self.subscribed.set()
                while True:
                    self._tell(await layer.receive(channel))
            except Exception as error:  # every page goes on by its tick until the layer is back
                self.subscribed.clear()
                logger.warning("No hints for live pages, next try in %s s: %s", wait_seconds, error)
                with suppress(Exception):
                    await layer.flush()  # a failed subscription would leave its channel behind
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(LAST_RETRY_SECONDS, wait_seconds * 2)

    def _tell(self, hint: Hint) -> None:
        for listener in list(self._listeners):
            listener(hint)
