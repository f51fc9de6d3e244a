"""Read logs without Celery: the same loop, in this process."""

from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from logs import consumer, selectors, services
from logs.errors import TopicNotFound
from logs.handlers import Reads, subscriptions
from mqsite import consuming, workers


class Command(consuming.ConsumingCommand):
    help = "Handle the records of topics without Celery, until SIGINT or SIGTERM: for debugging and small sites."

    def add_arguments(self, parser: CommandParser) -> None:
        for option, what in (("--group", "group"), ("--topic", "topic")):
            parser.add_argument(
                option, action="append", default=[], metavar="NAME", help=f"only this {what}; repeatable"
            )
        parser.add_argument("--once", action="store_true", help="handle what is unread and exit")

    def handle(self, *, group: list[str], topic: list[str], once: bool, verbosity: int, **_: Any) -> None:
        consuming.require_startable()
        chosen = choose(group, topic)
        for reads in chosen:
            self.say(f"Handles {reads} with {subscriptions.get(reads)}.")
        work = consuming.Work(
            handles=lambda: [selectors.handled_name(*reads) for reads in chosen],
            renew=consumer.renew_partitions,
            upkeep=services.run_upkeep,
            mark=partial(find_ends, sorted({reads.topic for reads in chosen})),
            drain=partial(consumer.drain_behind, chosen, stop=workers.stopping),
            wait=lambda ends, seconds: services.wait_for_any(ends, seconds=seconds, using=DEFAULT_DB_ALIAS),
        )
        consuming.consume(work, once=once, say=self.say, verbosity=verbosity)


def choose(groups: list[str], topics: list[str]) -> list[Reads]:
    """What has a handler here, of these groups and topics; of all where none is named."""
    known = [Reads(s.group.name, s.topic) for s in subscriptions]
    wanted_groups = consuming.choose(groups, [reads.group for reads in known], "group")
    wanted_topics = consuming.choose(topics, [reads.topic for reads in known], "topic")
    chosen = [reads for reads in known if reads.group in wanted_groups and reads.topic in wanted_topics]
    if not chosen:
        there = ", ".join(map(str, known))
        raise CommandError(f"No handler here reads {', '.join(topics)} for {', '.join(groups)}. Handled here: {there}.")
    return chosen


def find_ends(topics: list[str]) -> dict[int, int]:
    """Of each partition by id the offset that comes next, of the topics that exist by now."""
    ends: dict[int, int] = {}
    for topic in topics:
        try:
            ends |= {b.partition_id: b.log_end for b in selectors.bounds(topic)}
        except TopicNotFound:
            continue
    return ends
