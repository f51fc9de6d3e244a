"""What an application declares of the log: the topics it publishes, the groups it reads with.

In process the declaration is the identity: who publishes through `Topic("flights",
owner="operations")` acts for operations. `migrate` creates what is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from logs.models import MAX_MESSAGE_BYTES
from mqsite.boundaries import require_name
from mqsite.errors import Invalid
from mqsite.registry import Registry

MAX_PARTITIONS = 1024

#: Called in the transaction of a reset with the topic and, for each partition that moves, its new offset.
OnReset = Callable[[str, dict[int, int]], object]

topics: Registry[str, "Topic"] = Registry("Topic")
groups: Registry[str, "Group"] = Registry("Group")


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, the boundary that alone publishes to it, and its settings."""

    name: str
    owner: str
    partitions: int = 1
    max_message_bytes: int = MAX_MESSAGE_BYTES
    description: str = ""

    def __post_init__(self) -> None:
        require_name(self.name, "topic")
        require_name(self.owner, "boundary")
        if not 1 <= self.partitions <= MAX_PARTITIONS:
            raise Invalid(
                reason=f"Topic {self.name}: partitions is {self.partitions}; allowed are 1 to {MAX_PARTITIONS}."
            )
        topics.add(self.name, self)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group and the boundary that reads with it.

    `start_at` is "earliest" or "latest": where the group starts on a topic it never read.
    `on_reset(topic, targets)` runs in the transaction of every reset, before it commits:
    the place to clear what the replay will build again.
    """

    name: str
    owner: str
    start_at: str = "earliest"
    on_reset: OnReset | None = None

    def __post_init__(self) -> None:
        require_name(self.name, "consumer group")
        require_name(self.owner, "boundary")
        if self.start_at not in {"earliest", "latest"}:
            raise Invalid(
                reason=f"Group {self.name}: start_at is {self.start_at!r}; allowed are 'earliest' and 'latest'."
            )
        groups.add(self.name, self)

    def __str__(self) -> str:
        return self.name
