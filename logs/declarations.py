"""What an application declares of the log: the topics it publishes, the groups it reads with.

In process the declaration is the identity: who publishes through `Topic("flights",
owner="operations")` acts for operations. `migrate` creates what is missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from logs.configs import parse_configs
from logs.policies import parse_start_policy
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
    """A topic, the boundary that alone publishes to it, and its configuration under Kafka's names.

    `Topic("orders", owner="shop", partitions=8, configs={"retention.ms": -1})`
    """

    name: str
    owner: str
    partitions: int = 1
    configs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    description: str = ""

    def __post_init__(self) -> None:
        require_name(self.name, "topic")
        require_name(self.owner, "boundary")
        if not 1 <= self.partitions <= MAX_PARTITIONS:
            raise Invalid(
                reason=f"Topic {self.name}: partitions is {self.partitions}; allowed are 1 to {MAX_PARTITIONS}."
            )
        parse_configs(self.configs)
        topics.add(self.name, self)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group and the boundary that reads with it.

    `auto_offset_reset` says where it reads a partition without a committed offset, or one whose committed offset
    retention has passed: "earliest", "latest", "none" (it fails until somebody resets it) or "by_duration:PT12H".
    `on_reset(topic, targets)` runs in the transaction of every reset, before it commits:
    the place to clear what the replay will build again.
    """

    name: str
    owner: str
    auto_offset_reset: str = "earliest"
    on_reset: OnReset | None = None

    def __post_init__(self) -> None:
        require_name(self.name, "consumer group")
        require_name(self.owner, "boundary")
        parse_start_policy(self.auto_offset_reset)
        groups.add(self.name, self)

    def __str__(self) -> str:
        return self.name
