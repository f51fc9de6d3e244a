"""Queues that are handled for another boundary than the one the database knows.

Asked for with `check --database`, and by workers, which do not start with it. Warnings, so that `migrate`, which may
mend them, is not held up.
"""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register

from mqsite import sql
from mqsite.checks import TAG
from queues import handlers, selectors, services
from queues.models import Queue
from queues.periodic import periodics


@register(TAG)
def check_handled(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for using in databases or ():
        if sql.has_table(using, Queue._meta.db_table):
            wanted = {each.queue.name: each.queue.owner for each in handlers.handled}
            faults = selectors.find_misfits(wanted, using=using)
            found += [Warning(fault, hint=hint, id="queues.W001") for fault, hint in faults]
    return found


@register(TAG)
def check_periodic(**_: Any) -> list[CheckMessage]:
    faults = filter(None, map(services.find_fault, periodics))
    return [Error(fault, hint="Declare what the queue takes.", id="queues.E001") for fault in faults]
