"""What may be set on a queue. One table says what is allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Field

from mqsite.boundaries import require_name
from mqsite.errors import Invalid
from queues.models import Queue

MOST_LEASE_SECONDS = 43_200  # 12 hours, as in SQS
MOST_RECEIVES = 1_000
MOST_LENGTH = 10_000_000
MOST_SECONDS = 366 * 86_400 * 100


@dataclass(frozen=True, slots=True)
class Setting:
    """`kind`: int, float, bool, or str for the name of a queue. `optional`: None switches it off."""

    name: str
    description: str
    kind: type
    least: float = 0
    most: float = 0
    optional: bool = False

    @property
    def default(self) -> Any:
        column: Field[Any, Any] = Queue._meta.get_field(self.name)  # type: ignore[assignment]
        return column.get_default()

    def parse(self, queue: str, value: Any) -> Any:
        if value is None and self.optional:
            return None
        if self.kind is str:
            return require_name(value, "queue")
        if self.kind is bool:
            if isinstance(value, bool):
                return value
            raise Invalid(reason=f"Queue {queue}: {self.name} is {value!r}; allowed are true and false.")
        kinds: Any = int if self.kind is int else int | float
        if not isinstance(value, kinds) or isinstance(value, bool) or not self.least <= value <= self.most:
            limits = f"{self.least:,} to {self.most:,}" + (", or None" if self.optional else "")
            raise Invalid(reason=f"Queue {queue}: {self.name} is {value!r}; allowed are {limits}.")
        return self.kind(value)


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("lease_seconds", "How long a receiver has for what it received.", int, 1, MOST_LEASE_SECONDS),
        Setting("max_receives", "After so many a message is dead.", int, 1, MOST_RECEIVES),
        Setting(
            "dead_letter_queue", "Where dead letters go, to be received there; none: they stay.", str, optional=True
        ),
        Setting("max_length", "Messages standing, dead ones apart; then sends are refused.", int, 1, MOST_LENGTH, True),
        Setting("message_ttl_seconds", "After that an unreceived message is dead.", float, 0.001, MOST_SECONDS, True),
        Setting("dedup_seconds", "How long a deduplication id is remembered.", int, 1, MOST_SECONDS),
        Setting("is_ordered", "First in first out for each group key. Never changes.", bool),
        Setting(
            "outcome_seconds", "How long one can ask what became of a message; 0: not at all.", int, 0, MOST_SECONDS
        ),
        Setting("backoff_seconds", "The first wait after a failure, doubled each time; 0: none.", float, 0, 86_400),
        Setting("backoff_max_seconds", "The longest such wait.", float, 0, MOST_SECONDS),
        Setting("backoff_jitter", "The share of a wait that is left to chance.", float, 0, 1),
    )
}


def parse_settings(queue: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings given, checked one by one."""
    unknown = sorted(set(given) - set(SETTINGS))
    if unknown:
        raise Invalid(reason=f"There is no queue setting {unknown[0]!r}; there are {', '.join(SETTINGS)}.")
    return {name: SETTINGS[name].parse(queue, value) for name, value in given.items()}


def read_settings(queue: Queue) -> dict[str, Any]:
    """Every setting of a queue; the dead-letter queue by its name."""
    letters = queue.dead_letter_queue
    return {name: getattr(queue, name) for name in SETTINGS} | {"dead_letter_queue": letters and letters.name}
