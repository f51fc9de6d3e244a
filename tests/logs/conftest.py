"""What tests of the log share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from logs import services
from logs.declarations import Group, groups
from logs.handlers import Reads, subscribe, subscriptions
from mqsite.handling import Handler

Subscribed = Callable[..., None]


@pytest.fixture
def subscribed(db: None) -> Iterator[Subscribed]:
    """Makes a function billing's handler of orders, with options, for one test."""
    services.create_topic("orders", owner="shop")
    services.create_group("billing", owner="billing", topics=["orders"])

    def register(handler: Handler, **options: Any) -> None:
        subscriptions._entries.pop(Reads("billing", "orders"), None)
        subscribe(Group("billing", owner="billing"), "orders", **options)(handler)

    yield register
    subscriptions._entries.pop(Reads("billing", "orders"), None)
    groups._entries.pop("billing", None)
