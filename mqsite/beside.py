"""A second connection of this thread, for what must be committed beside the transaction it is in."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from django.db import OperationalError, connections

from mqsite.sql import fetch_all

_local = threading.local()
_is_within = False


@contextmanager
def within() -> Iterator[None]:
    """For tests that run in one transaction: it is not left, as another connection would not see what it wrote, and
    what that one commits would outlive the test."""
    global _is_within
    before, _is_within = _is_within, True
    try:
        yield
    finally:
        _is_within = before


def execute(using: str, text: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run one of few statements, committed when this returns; its rows. A lost connection is replaced once."""
    if _is_within:
        return fetch_all(using, text, params)
    try:
        return _execute(using, text, params)
    except (psycopg.OperationalError, OperationalError):
        close(using)
        return _execute(using, text, params)


def close(using: str) -> None:
    """Let the connection go. Worker processes keep theirs from task to task; whoever else opens one closes it."""
    connection = _held().pop(using, None)
    if connection is not None:
        connection.close()


def _execute(using: str, text: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    held = _held()
    connection = held.get(using)
    if connection is None:
        beside = connections[using].copy()
        beside.connect()  # with all that Django and the keepalive make of a connection
        connection = held[using] = cast("psycopg.Connection[Any]", beside.connection)
    cursor = psycopg.Cursor(connection).execute(text.encode(), params, binary=True, prepare=True)
    return cursor.fetchall() if cursor.description else []


def _held() -> dict[str, "psycopg.Connection[Any]"]:
    held: dict[str, psycopg.Connection[Any]] | None = getattr(_local, "held", None)
    if held is None:
        held = _local.held = {}
    return held


def _forget() -> None:
    """In a forked child: the connections are its parent's."""
    global _local
    _local = threading.local()


os.register_at_fork(after_in_child=_forget)
