"""Wiring of the log: discovery of what apps declare, its creation after migrate, its part in a worker."""

import functools
import sys
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LogsConfig(AppConfig):
    name = "logs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from logs import checks, consumer, handlers, receivers  # noqa: F401
        from mqsite import discovery, workers

        discovery.discover()
        post_migrate.connect(create_declared, sender=self)
        workers.register(
            renew=consumer.renew_partitions,
            sweep=functools.partial(consumer.sweep, stop=workers.stopping),
            handles=handlers.handled_names,
        )


def create_declared(using: str, verbosity: int = 1, **_: Any) -> None:
    from logs import handlers, selectors, services
    from logs.models import Topic
    from mqsite import sql

    if not sql.has_table(using, Topic._meta.db_table):
        return  # this run migrated something else
    said = services.create_declared(using=using)
    for subscription in handlers.subscriptions:
        said += services.subscribe_declared(subscription.group, subscription.topic, using=using)
    said += selectors.drift(using=using)
    if verbosity:
        sys.stdout.writelines(f"  {sentence}\n" for sentence in said)
