"""Parks records of orders for the group billing through the service, as a consumer does."""

from django.utils import timezone

from logs import rows, services
from logs.models import ParkedRecord

SCRIPT = "<script>alert(1)</script>"
TRACEBACK = f'Traceback (most recent call last):\n  File "bill.py", line 1\napp.Refused: no credit {SCRIPT}'


def create_billing() -> None:
    services.create_topic("orders", owner="shop")
    services.create_group("billing", owner="billing", topics=["orders"])


def park(count: int = 1, *, value: bytes | None = SCRIPT.encode(), topic: str = "orders") -> list[int]:
    """So many more; their ids in the order they were parked."""
    held = services.acquire_partition("billing", "orders", 0, member="worker")
    assert held
    before = ParkedRecord.objects.count()
    for offset in range(before, before + count):
        record = rows.Record(
            topic=topic,
            partition=0,
            is_replay=False,
            offset=offset,
            timestamp=timezone.now(),
            key=f"k{offset} {SCRIPT}".encode(),
            value=value,
            raw_headers=f'[["h","{SCRIPT}"]]',
            content_type="text/plain",
        )
        assert services.park(held, record, reason="attempts", error=TRACEBACK, attempts=3)
    services.release_partition(held)
    return list(ParkedRecord.objects.order_by("id").values_list("id", flat=True))[before:]
