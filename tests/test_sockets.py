"""Sockets of live pages: who may see what, few frames however much moves, and no need of Redis."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.db import connections
from django.urls import path
from pytest_django import Settings

import logs.services
import queues.services
from mqsite import hints, sockets
from mqsite.errors import NotFound
from mqsite.sockets import GAP_SECONDS, SnapshotSocket
from mqsite.urls import websocket_urlpatterns

Frame = dict[str, Any]
WAIT_SECONDS = 10.0
NOBODY = AnonymousUser()
SOMEBODY = User(username="operator")


class CountingSocket(SnapshotSocket):
    """Shows one number and counts how often it was read."""

    shown: ClassVar[int] = 0
    reads: ClassVar[int] = 0
    fails_with: ClassVar[Exception | None] = None
    may_go_on: ClassVar[threading.Event] = threading.Event()

    def draw(self) -> dict[str, Any]:
        type(self).reads += 1
        if self.fails_with:
            raise self.fails_with
        shown = self.shown
        assert self.may_go_on.wait(WAIT_SECONDS)
        return {"number": {"shown": shown}}


@pytest.fixture(autouse=True)
async def _fresh(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(sockets, "TICK_SECONDS", 2 * GAP_SECONDS)
    CountingSocket.shown = CountingSocket.reads = 0
    CountingSocket.fails_with = None
    CountingSocket.may_go_on.set()
    assert await asyncio.to_thread(hints.flush, WAIT_SECONDS)  # what earlier tests did is not told here
    yield
    await database_sync_to_async(connections.close_all)()


@asynccontextmanager
async def opened(address: str, *, user: Any = SOMEBODY) -> AsyncIterator[ApplicationCommunicator]:
    router = URLRouter([path("ws/counting/", CountingSocket.as_asgi()), *websocket_urlpatterns])

    async def application(scope: Any, receive: Any, send: Any) -> Any:
        return await router({**scope, "user": user}, receive, send)

    # Not WebsocketCommunicator: importing channels.testing needs daphne.
    scope = {"type": "websocket", "path": address, "query_string": b"", "headers": [], "subprotocols": []}
    communicator = ApplicationCommunicator(application, scope)
    await communicator.send_input({"type": "websocket.connect"})
    assert (await communicator.receive_output(timeout=WAIT_SECONDS))["type"] == "websocket.accept"
    try:
        yield communicator
    finally:
        await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await communicator.wait(timeout=WAIT_SECONDS)


async def next_frame(socket: ApplicationCommunicator) -> Frame:
    message = await socket.receive_output(timeout=WAIT_SECONDS)
    assert message["type"] == "websocket.send", message
    return dict(json.loads(message["text"]))


async def frame_with(socket: ApplicationCommunicator, holds: Callable[[Frame], Any]) -> Frame:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            frame = await next_frame(socket)
            if holds(frame):
                return frame


async def closed_with(socket: ApplicationCommunicator) -> int:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            message = await socket.receive_output(timeout=WAIT_SECONDS)
            if message["type"] == "websocket.close":
                return int(message["code"])


async def subscribed() -> None:
    """Returns once this process hears hints."""
    await asyncio.wait_for(sockets.Hub.current().subscribed.wait(), WAIT_SECONDS)


async def reads_more_than(reads: int) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while CountingSocket.reads <= reads:
            await asyncio.sleep(0.01)


def hint(half: str = "logs", name: str = "orders", event: str = "published", **more: Any) -> None:
    hints.push_live(half, name, event, **{"count": 1, **more})


# Who may see what


@pytest.mark.parametrize(
    "address", ["/ws/overview/", "/ws/topics/orders/", "/ws/groups/billing/", "/ws/queues/mail/", "/ws/workers/"]
)
async def test_without_a_login_every_socket_closes_with_4403(address: str) -> None:
    async with opened(address, user=NOBODY) as socket:
        assert await closed_with(socket) == 4403


@pytest.mark.django_db(transaction=True)
async def test_the_open_overview_shows_no_key_no_error_and_no_detail(settings: Settings) -> None:
    settings.MQSITE_OPEN_OVERVIEW = True
    await database_sync_to_async(_fail_a_secret_message)()
    async with opened("/ws/overview/", user=NOBODY) as socket:
        frame = await next_frame(socket)
        assert frame["sections"]["queue:mail"]["lanes"]["dead"]["count"] == "1"
        await subscribed()
        hint("queues", "mail", "acked", messages=[{"id": 7, "label": "secret key"}])
        told = await frame_with(socket, lambda f: f["events"])
        assert told["events"]["mail"]["messages"] == [{"event": "acked", "id": "7", "label": "7"}]
    assert "secret" not in json.dumps([frame, told])


@pytest.mark.django_db(transaction=True)
async def test_who_is_logged_in_sees_keys_and_errors() -> None:
    await database_sync_to_async(_fail_a_secret_message)()
    async with opened("/ws/queues/mail/") as socket:
        frame = await next_frame(socket)
    (dead,) = frame["sections"]["dead:mail"]["rows"]
    assert "secret key" in dead["cells"]
    assert "secret error" in dead["cells"]


def _fail_a_secret_message() -> None:
    queues.services.create_queue("mail", owner="post")
    id_ = queues.services.send("mail", {"to": "secret"}, group_key="secret key", sender="shop")
    lease = queues.services.receive("mail", holder="test", boundary="post")
    assert lease
    queues.services.reject(lease.token, [id_.id], queue="mail", error="secret error")
    assert hints.flush(WAIT_SECONDS)  # before anybody listens


# Few frames


async def test_a_hundred_hints_make_few_frames_and_the_last_state_is_shown() -> None:
    async with opened("/ws/counting/") as socket:
        await next_frame(socket)
        await subscribed()
        loop = asyncio.get_running_loop()
        started, frames = loop.time(), 0
        for number in range(1, 101):
            CountingSocket.shown = number
            hint()
        while True:
            frame = await next_frame(socket)
            frames += 1
            if frame["sections"].get("number") == {"shown": 100}:
                break
        assert frames <= 1 + (loop.time() - started) / GAP_SECONDS


async def test_a_part_that_did_not_change_is_not_sent_again() -> None:
    async with opened("/ws/counting/") as socket:
        assert (await next_frame(socket))["sections"] == {"number": {"shown": 0}}
        again = await next_frame(socket)
    assert (again["keys"], again["sections"]) == (["number"], {})


async def test_pages_that_show_the_same_share_one_read() -> None:
    async with opened("/ws/counting/") as one, opened("/ws/counting/") as two, opened("/ws/counting/") as three:
        for socket in (one, two, three):
            await next_frame(socket)
        assert CountingSocket.reads < 3


async def test_a_hint_during_a_read_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "TICK_SECONDS", 3600)
    async with opened("/ws/counting/") as socket:
        await next_frame(socket)
        await subscribed()
        CountingSocket.may_go_on.clear()
        hint()
        await reads_more_than(CountingSocket.reads)  # and has seen 0
        CountingSocket.shown = 1
        hint()
        CountingSocket.may_go_on.set()
        await frame_with(socket, lambda f: f["sections"].get("number") == {"shown": 1})


async def test_queue_events_are_named_up_to_a_limit_and_counted_beyond() -> None:
    pending = sockets.Pending()
    messages = [{"id": id_, "label": f"k{id_}"} for id_ in range(24)]
    for at in range(1_000):
        pending.add(at, {"name": "mail", "event": "acked", "count": 30, "messages": messages})
    events = pending.take(until=1_000, payload_free=False)
    assert events["mail"]["counts"] == {"acked": 30_000}
    assert len(events["mail"]["messages"]) == sockets.MOST_MESSAGES
    assert pending.take(until=2_000, payload_free=False) == {}


async def test_what_comes_after_a_snapshot_was_begun_waits_for_the_next() -> None:
    pending = sockets.Pending()
    for at in (1.0, 2.0):
        pending.add(at, {"name": "mail", "event": "acked", "count": 1, "messages": []})
    assert pending.take(until=1.5, payload_free=False)["mail"]["counts"] == {"acked": 1}
    assert pending.take(until=2.5, payload_free=False)["mail"]["counts"] == {"acked": 1}


async def test_a_hidden_page_gets_nothing_and_one_snapshot_when_it_is_seen_again() -> None:
    async with opened("/ws/counting/") as socket:
        await next_frame(socket)
        await subscribed()
        await socket.send_input({"type": "websocket.receive", "text": "pause"})
        CountingSocket.shown = 1
        hint("queues", "mail", "acked", count=5)
        assert await socket.receive_nothing(timeout=sockets.TICK_SECONDS + 0.5)
        await socket.send_input({"type": "websocket.receive", "text": "resume"})
        frame = await next_frame(socket)
    assert frame["sections"] == {"number": {"shown": 1}}
    assert frame["events"]["mail"]["counts"] == {"acked": 5}


# What may go wrong


async def test_without_redis_the_page_is_kept_up_to_date_by_its_tick(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
        }
    }
    async with opened("/ws/counting/") as socket:
        await next_frame(socket)
        CountingSocket.shown = 1
        await frame_with(socket, lambda f: f["sections"].get("number") == {"shown": 1})


@pytest.mark.django_db(transaction=True)
async def test_a_topic_that_does_not_exist_closes_with_4404() -> None:
    async with opened("/ws/topics/nothing/") as socket:
        assert await closed_with(socket) == 4404


async def test_a_subject_deleted_under_an_open_page_closes_it_with_4404() -> None:
    async with opened("/ws/counting/") as socket:
        await next_frame(socket)
        CountingSocket.fails_with = NotFound(what="It")
        assert await closed_with(socket) == 4404


async def test_when_the_database_fails_the_page_is_told_to_come_back() -> None:
    async with opened("/ws/counting/") as socket:
        await next_frame(socket)
        CountingSocket.fails_with = RuntimeError("no database")
        assert await closed_with(socket) == 1011


@pytest.mark.django_db(transaction=True)
async def test_a_commit_moves_the_marker_of_an_open_topic_page() -> None:
    await database_sync_to_async(_publish_one)()
    async with opened("/ws/topics/orders/") as socket:
        frame = await next_frame(socket)
        await subscribed()
        assert frame["sections"]["topic:orders"]["partitions"][0]["marks"][0]["behind"] == "not started"
        await database_sync_to_async(_commit_one)()
        frame = await frame_with(socket, lambda f: "topic:orders" in f["sections"])
    (mark,) = frame["sections"]["topic:orders"]["partitions"][0]["marks"]
    assert (mark["behind"], mark["x"]) == ("caught up", "100.00%")


def _publish_one() -> None:
    logs.services.create_topic("orders", owner="shop", partitions=1)
    logs.services.create_group("billing", owner="accounts", topics=["orders"])
    logs.services.publish("orders", {"n": 1}, boundary="shop")


def _commit_one() -> None:
    assignment = logs.services.acquire_partition("billing", "orders", 0, member="test")
    assert assignment
    logs.services.commit_offset(assignment, 1)
