"""What an application declares of the queue: the queues it handles.

In process the declaration is the identity: who receives from `Queue("bookings",
owner="sales")` acts for sales. `migrate` creates what is missing.
"""

from dataclasses import dataclass

from mqsite.boundaries import require_name
from mqsite.errors import Invalid
from mqsite.registry import Registry
from queues.models import LEASE_SECONDS, MAX_RECEIVES

MOST_LEASE_SECONDS = 43_200  # 12 hours, as in SQS
MOST_RECEIVES = 1_000

queues: Registry[str, "Queue"] = Registry("Queue")


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, the boundary that alone handles it, and its settings."""

    name: str
    owner: str
    lease_seconds: int = LEASE_SECONDS
    max_receives: int = MAX_RECEIVES
    description: str = ""

    def __post_init__(self) -> None:
        require_name(self.name, "queue")
        require_name(self.owner, "boundary")
        require_settings(self.name, lease_seconds=self.lease_seconds, max_receives=self.max_receives)
        queues.add(self.name, self)

    def __str__(self) -> str:
        return self.name


def require_settings(name: str, *, lease_seconds: int, max_receives: int) -> None:
    """Refuse settings no queue can have."""
    for setting, value, most in (
        ("lease_seconds", lease_seconds, MOST_LEASE_SECONDS),
        ("max_receives", max_receives, MOST_RECEIVES),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise Invalid(reason=f"Queue {name}: {setting} is {value!r}; allowed are 1 to {most:,}.")
