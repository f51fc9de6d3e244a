"""Runs a statement of sql/: which are prepared, which errors are refusals, which segment a text names."""

from functools import cache
from typing import Any

import psycopg

from logs.errors import LockWaitTooLong, PartitionGone, TopicAltered
from mqsite.errors import MessagingError, ReadCommittedRequired
from mqsite.sql import fetch_all, statement


def _isolation_refused(error: psycopg.Error) -> MessagingError:
    return ReadCommittedRequired(verb="Publishing", isolation="another isolation level", what="log")


_REFUSALS = {
    "MQ001": _isolation_refused,
    "logs_read_committed": _isolation_refused,
    "MQ002": lambda _: TopicAltered(),
    "logs_partition_gone": lambda _: PartitionGone(),
    "55P03": lambda _: LockWaitTooLong(),
}


# Prepared where the connection allows it. Not fetch: a plan made while a segment was small would read it whole.
_HOT = {
    "acquire_one",
    "append",
    "append_one",
    "append_once",
    "stage",
    "begin_batch",
    "commit_offset",
    "commit_offsets",
    "take_again",
    "release",
}


def run(name: str, using: str, /, *, child: int = 0, **params: Any) -> list[tuple[Any, ...]]:
    return fetch_all(using, _text(name, child), params, refusals=_REFUSALS, prepare=name in _HOT)


@cache
def _text(name: str, child: int) -> str:
    """A statement that names a segment locks and plans for that child alone. One that reads logs_lags reads what
    lags.sql answers."""
    text = statement("logs", name).replace("logs_lags", f"({statement('logs', 'lags')})")
    return text.replace("logs_record_s0", f"logs_record_s{int(child)}")
