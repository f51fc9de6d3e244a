"""What is wrong with the declarations and handlers, found at start-up."""

import logging
from typing import Any

from django.core.checks import CheckMessage, Error, register, run_checks
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from mqsite import discovery
from mqsite.registry import registries

logger = logging.getLogger(__name__)

TAG = "messaging"  # of these and the halves' own: what a worker runs before it starts


def find_faults() -> list[str]:
    """What no worker should start with, as sentences. Without a database only what shows without one."""
    try:
        found = run_checks(tags=[TAG], databases=[DEFAULT_DB_ALIAS])
    except DatabaseError:
        logger.warning("The database does not answer: started without looking for what handlers read.")
        found = run_checks(tags=[TAG])
    connections.close_all()  # the children are forked from here
    return [f"{each.msg} {each.hint} ({each.id})" for each in found if not each.is_silenced()]


@register(TAG)
def check_clashes(**_: Any) -> list[CheckMessage]:
    return [
        Error(clash, hint="Keep one declaration and import it where it is used.", id="mqsite.E001")
        for registry in registries
        for clash in registry.clashes
    ]


@register(TAG)
def check_imports(**_: Any) -> list[CheckMessage]:
    return [
        Error(fault, hint="Correct it: until then nobody runs its handlers.", id="mqsite.E002")
        for fault in discovery.faults
    ]
