"""What handlers read that the database does not know.

Asked for with `check --database`, and by workers, which do not start with it. Warnings, so that `migrate`, which may
mend them, is not held up.
"""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning, register

from logs import handlers, selectors
from logs.models import Topic
from mqsite import sql
from mqsite.checks import TAG


@register(TAG)
def check_subscriptions(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for using in databases or ():
        if sql.has_table(using, Topic._meta.db_table):
            wanted = [(s.group.name, s.group.owner, s.topic) for s in handlers.subscriptions]
            faults = selectors.find_misfits(wanted, using=using)
            found += [Warning(fault, hint=hint, id="logs.W001") for fault, hint in faults]
    return found
