"""The core announces what it did, once that is true for everybody."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.db import connections
from django.dispatch import Signal

Listener = Callable[[Signal, str, dict[str, Any]], object]

NOTHING: Mapping[str, Any] = {}
#: Of tests, whose transaction may never commit: told at once, with the alias and the facts, in the transaction.
listeners: list[Listener] = []


def announce(signal: Signal, *, using: str, details: Mapping[str, Any] = NOTHING, **facts: Any) -> None:
    """Send the signal when the transaction commits; at once where there is none. A receiver cannot fail us.

    `details`: for listeners alone, as facts would be kept until the COMMIT.
    """
    after_commit(partial(signal.send_robust, sender=None, **facts), using=using)
    for listener in listeners:
        listener(signal, using, {**facts, **details})


def after_commit(work: Callable[[], object], *, using: str) -> None:
    """Do it when the transaction commits; at once where there is none. It cannot fail us.

    In Django's manual transaction management nobody can tell when the commit comes: the sweep finds it.
    """
    connection = connections[using]
    if connection.in_atomic_block or connection.get_autocommit():
        connection.on_commit(work, robust=True)
