"""An application that a test makes up."""

from collections.abc import Callable
from typing import Any

import pytest

import logs.services
import queues.services
from logs.declarations import Group, Topic
from logs.handlers import subscribe
from logs.rows import Record
from mqsite.models import Boundary
from mqsite.registry import registries
from queues.declarations import Queue
from queues.handlers import handle
from queues.rows import Message

in_test_transaction = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)
both = pytest.mark.parametrize(
    "mode", [pytest.param("enclosed", marks=in_test_transaction), pytest.param("committed", marks=committed)]
)
deliveries = ("transaction", "at_least_once", "at_most_once")


class Shop:
    """An application that a test makes up: what it declares and handles is gone afterwards."""

    def __init__(self) -> None:
        self.orders = Topic("orders", owner="shop", partitions=4)
        self.billing = Group("billing", owner="shop")
        self.parcels = Queue("parcels", owner="shop", max_receives=3)
        self.told: list[Any] = []

    def reads(self, **options: Any) -> Callable[[Any], Any]:
        return subscribe(self.billing, self.orders, **options)

    def handles(self, **options: Any) -> Callable[[Any], Any]:
        return handle(self.parcels, **options)

    def tell(self, item: Record | Message) -> None:
        self.told.append(item.decode())

    def write(self, name: str) -> None:
        Boundary.objects.create(name=name)

    def written(self) -> list[str]:
        return sorted(Boundary.objects.exclude(name="shop").filter(name__startswith="w").values_list("name", flat=True))


def open_shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """What is declared elsewhere is not seen while it is open."""
    for registry in registries:
        monkeypatch.setattr(registry, "_entries", {})
        monkeypatch.setattr(registry, "clashes", [])
    shop = Shop()
    logs.services.create_declared()
    queues.services.create_declared()
    return shop
