"""Wiring of the queue: discovery of what apps declare, its creation after migrate, its part in a worker."""

import functools
import sys
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class QueuesConfig(AppConfig):
    name = "queues"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mqsite import discovery, workers
        from queues import checks, consumer, handlers, receivers  # noqa: F401

        discovery.discover()
        post_migrate.connect(create_declared, sender=self)
        workers.register(
            renew=consumer.beat,
            sweep=functools.partial(consumer.sweep, stop=workers.stopping),
            handles=handlers.handled_names,
        )


def create_declared(using: str, verbosity: int = 1, **_: Any) -> None:
    from mqsite import sql
    from queues import selectors, services
    from queues.models import Queue

    if not sql.has_table(using, Queue._meta.db_table):
        return  # this run migrated something else
    said = services.create_declared(using=using) + selectors.drift(using=using)
    if verbosity:
        sys.stdout.writelines(f"  {sentence}\n" for sentence in said)
