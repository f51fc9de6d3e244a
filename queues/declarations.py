"""What an application declares of the queue: the queues it handles.

In process the declaration is the identity: who receives from `Queue("bookings",
owner="sales")` acts for sales. `migrate` creates what is missing.
"""

from dataclasses import dataclass
from typing import Any

from mqsite.boundaries import require_name
from mqsite.registry import Registry
from queues.models import LEASE_SECONDS, MAX_RECEIVES
from queues.settings import SETTINGS, parse_settings

queues: Registry[str, "Queue"] = Registry("Queue")


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, the boundary that alone handles it, and its settings: see settings.py."""

    name: str
    owner: str
    lease_seconds: int = LEASE_SECONDS
    max_receives: int = MAX_RECEIVES
    description: str = ""
    dead_letter_queue: str | None = None
    max_length: int | None = None
    message_ttl_seconds: float | None = None
    dedup_seconds: int = 300
    is_ordered: bool = False
    outcome_seconds: int = 0
    backoff_seconds: float = 1.0
    backoff_max_seconds: float = 300.0
    backoff_jitter: float = 0.2

    def __post_init__(self) -> None:
        require_name(self.name, "queue")
        require_name(self.owner, "boundary")
        parse_settings(self.name, self.settings)
        queues.add(self.name, self)

    @property
    def settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    def __str__(self) -> str:
        return self.name
