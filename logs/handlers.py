"""Which function handles the records of a topic for a group."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from logs.declarations import Group, Topic
from logs.rows import Record
from logs.selectors import handled_name
from mqsite.registry import Registry

Handler = Callable[[Record], object]


class Reads(NamedTuple):
    """A group and a topic it reads."""

    group: str
    topic: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A handler and the declared group it runs for."""

    group: Group
    topic: str
    handler: Handler


subscriptions: Registry[Reads, Subscription] = Registry("Handler of")


def subscribe(group: Group, *topics: Topic | str) -> Callable[[Handler], Handler]:
    """Make the function the group's handler of these topics.

    It is called with one Record at a time, in order per partition. What it writes to the
    database and the commit of the offset are one transaction.
    """

    def register(handler: Handler) -> Handler:
        for topic in topics:
            subscriptions.add(Reads(group.name, str(topic)), Subscription(group, str(topic), handler))
        return handler

    return register


def readers_of(topic: str) -> list[str]:
    """The groups that handle the topic in this application."""
    return [reads.group for reads in subscriptions.select(lambda reads: reads.topic == topic)]


def handled_names() -> list[str]:
    """What this process handles, as its heartbeat tells the others."""
    return [handled_name(each.group.name, each.topic) for each in subscriptions]
