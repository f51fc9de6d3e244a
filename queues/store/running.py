"""Runs a statement of sql/: which are prepared, which errors are refusals."""

from typing import Any

import psycopg

from mqsite.errors import MessagingError, ReadCommittedRequired
from mqsite.sql import fetch_all, in_transaction, statement
from queues.errors import SearchMarkGone


def _isolation_refused(error: psycopg.Error) -> MessagingError:
    return ReadCommittedRequired(verb="The queue", isolation="another isolation level", what="queue")


def _mark_gone(error: psycopg.Error) -> MessagingError:
    return SearchMarkGone()


REFUSALS = {"MQ001": _isolation_refused, "queues_read_committed": _isolation_refused, "MQ003": _mark_gone}

new_tuple = tuple.__new__  # half the cost of the named tuple's own constructor

# Prepared where the connection allows it.
_HOT = {"send", "send_one", "send_placed", "send_ready", "receive", "ack", "take", "heads", "ack_taken"}


def run(name: str, using: str, **params: Any) -> list[tuple[Any, ...]]:
    return fetch_all(using, statement("queues", name), params, refusals=REFUSALS, prepare=name in _HOT)


def run_relaxed(name: str, using: str, **params: Any) -> list[tuple[Any, ...]]:
    """Does not wait for the disk, unless it is in somebody's transaction."""
    return run(name, using, own=not in_transaction(using), **params)
