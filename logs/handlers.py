"""Which function handles the records of a topic for a group, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from logs.declarations import Group, Topic
from logs.selectors import handled_name
from mqsite.errors import Invalid
from mqsite.handling import TRANSACTION, Handler, Options, name_of, read_options
from mqsite.registry import Registry
from mqsite.retry import Retry

BLOCK, PARK = FAILURES = ("block", "park")


class Reads(NamedTuple):
    """A group and a topic it reads."""

    group: str
    topic: str

    def __str__(self) -> str:
        return f"{self.topic} for {self.group}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A handler and the declared group it runs for."""

    group: Group
    topic: str
    handler: Handler
    options: Options
    on_failure: str

    @property
    def retry(self) -> Retry:
        return self.options.retry or Retry()

    @property
    def limit_name(self) -> str:
        """Its limits count by this, also for several topics."""
        return f"logs:{self.group}:{self}"

    def __str__(self) -> str:
        return name_of(self.handler)


subscriptions: Registry[Reads, Subscription] = Registry("Handler of")


def subscribe(
    group: Group,
    *topics: Topic | str,
    delivery: str = TRANSACTION,
    batch: bool | int = False,
    retry: Retry | None = None,
    on_failure: str = BLOCK,
    concurrency: int | None = None,
    rate: float | None = None,
    seconds: float | None = None,
) -> Callable[[Handler], Handler]:
    """Make the function, plain or async, the group's handler of these topics. In order per partition.

    It gets one Record at a time, or a list of them with `batch`: up to so many, True for up to MAX_BATCH.
    `delivery`: "transaction" commits the offset with what the handler writes to the database, "at_least_once" after
    it, outside of a transaction, "at_most_once" before it.
    `on_failure`: "block" keeps the order and tries again, for ever or until `retry.attempts` are used up; "park"
    then sets the record aside and goes on.
    Limits over all workers: `concurrency` partitions at the same time, `rate` records a second; `seconds` of one call.
    """
    if not isinstance(group, Group) or not topics:
        raise Invalid(reason=f"subscribe takes a declared Group and the topics it reads, not {group!r}, {topics!r}.")
    if on_failure not in FAILURES:
        raise Invalid(reason=f"on_failure is {on_failure!r}; allowed are {', '.join(FAILURES)}.")

    def register(handler: Handler) -> Handler:
        options = read_options(
            handler,
            delivery=delivery,
            batch=batch,
            retry=retry,
            concurrency=concurrency,
            rate=rate,
            seconds=seconds,
        )
        for topic in topics:
            subscription = Subscription(group, str(topic), handler, options, on_failure)
            subscriptions.add(Reads(group.name, str(topic)), subscription)
        return handler

    return register


def readers_of(topic: str) -> list[str]:
    """The groups that handle the topic in this application."""
    return [reads.group for reads in subscriptions.select(lambda reads: reads.topic == topic)]


def handled_names() -> list[str]:
    """What this process handles, as its heartbeat tells the others."""
    return [handled_name(each.group.name, each.topic) for each in subscriptions]
