"""Handle queues without Celery: the same loop, in this process."""

from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from mqsite import consuming, workers
from queues import consumer, periodic, selectors, services
from queues.handlers import handled


class Command(consuming.ConsumingCommand):
    help = "Handle the messages of queues without Celery, until SIGINT or SIGTERM: for debugging and small sites."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", action="append", default=[], metavar="NAME", help="only this one; repeatable")
        parser.add_argument("--once", action="store_true", help="handle what is ready and exit")

    def handle(self, *, queue: list[str], once: bool, verbosity: int, **_: Any) -> None:
        consuming.require_startable()
        chosen = consuming.choose(queue, [each.queue.name for each in handled], "queue")
        for name in chosen:
            self.say(f"Handles {name} with {handled.get(name)}.")
        work = consuming.Work(
            handles=lambda: [f"queues:{name}" for name in chosen] + periodic.handled_names(),
            renew=consumer.beat,
            upkeep=services.run_upkeep,
            mark=partial(selectors.find_ids, chosen),
            drain=partial(consumer.drain_waiting, chosen, stop=workers.stopping),
            wait=lambda ids, seconds: services.wait_for_any(ids, seconds=seconds),
        )
        consuming.consume(work, once=once, say=self.say, verbosity=verbosity)
