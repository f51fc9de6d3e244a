"""Fixtures of the queue's tests."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from queues import declarations, handlers, periodic, services
from queues.declarations import Queue
from queues.models import Lease
from queues.rows import Lease as Leased

Receive = Callable[..., Leased]
Kill = Callable[..., list[int]]
TRACEBACK = 'Traceback (most recent call last):\n  File "book.py", line 1\napp.Refused: no seat'


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test declares is forgotten after it; what the applications declare is not seen in it."""
    for registry in (declarations.queues, handlers.handled, periodic.periodics):
        monkeypatch.setattr(registry, "_entries", {})
        monkeypatch.setattr(registry, "clashes", [])


@pytest.fixture
def bookings(registries: None, db: None) -> Queue:
    """A queue that sales handles: declared, and created."""
    queue = Queue("bookings", owner="sales", lease_seconds=30, max_receives=3, backoff_seconds=0)
    services.create_queue(queue.name, owner=queue.owner, **queue.settings)
    return queue


@pytest.fixture
def receive(bookings: Queue) -> Receive:
    """Receives from bookings what must be there."""

    def receive_some(max_messages: int = 10, holder: str = "worker-1") -> Leased:
        lease = services.receive(bookings, holder=holder, max_messages=max_messages)
        assert lease is not None, "nothing is ready"
        return lease

    return receive_some


@pytest.fixture
def dead(bookings: Queue, receive: Receive) -> Kill:
    """Sends so many messages and lets them die; their ids."""

    def kill(count: int, error: str = TRACEBACK) -> list[int]:
        ids = sent_ids(bookings, [services.NewMessage(f"letter {n}", group_key=f"lh{n}") for n in range(count)])
        services.reject(receive(count).token, ids, queue=bookings, error=error)
        return ids

    return kill


@pytest.fixture
def ann(client: Client, bookings: Queue) -> Client:
    """A superuser before the queue bookings."""
    client.force_login(User.objects.create_superuser("ann"))
    return client


@pytest.fixture
def expire() -> Callable[[Leased], None]:
    """Sets the end of a lease back, as if its holder had been silent for long."""

    def set_back(lease: Leased) -> None:
        assert Lease.objects.filter(id=lease.token).update(expires_at="2000-01-01T00:00Z") == 1

    return set_back


def sent_id(*args: Any, **kwargs: Any) -> int:
    """The id of a message just sent."""
    return services.send(*args, **kwargs).id


def sent_ids(*args: Any, **kwargs: Any) -> list[int]:
    return [sent.id for sent in services.send_many(*args, **kwargs)]
