"""Runs the statements of the stores, past Django's cursor: binary parameters are three times as fast."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from mqsite.errors import DiskFull

ROOT = Path(__file__).resolve().parent.parent

DISK_FULL = "53100"

Refusals = Mapping[str, Callable[[psycopg.Error], Exception]]  # by SQLSTATE, or by constraint name


@cache
def statement(package: str, name: str) -> str:
    """The text of `package/sql/name.sql`."""
    return (ROOT / package / "sql" / f"{name}.sql").read_text()


def fetch_all(
    using: str, text: str, params: Mapping[str, Any], *, refusals: Refusals | None = None, prepare: bool = False
) -> list[tuple[Any, ...]]:
    """Run one statement on the Django connection `using`, inside whatever transaction it is in.

    `%(name)b` binds in binary. Database errors come out as Django's, except those that
    `refusals` turns into ours. `prepare`: parse it once a session, unless the connection's
    option prepare_threshold is None, as Django has it for the sake of transaction poolers.
    """
    connection = connections[using]  # once: each look costs as much as a small conversion
    connection.validate_no_broken_transaction()
    try:
        with connection.wrap_database_errors:
            cursor = psycopg.Cursor(_session(connection), row_factory=tuple_row)
            cursor.execute(text.encode(), params, binary=True, prepare=prepare)
            return cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []
    except DatabaseError as error:
        raise _translate(error, refusals or {}) from error


def _translate(error: DatabaseError, refusals: Refusals) -> Exception:
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):
        for name in (cause.diag.constraint_name, cause.sqlstate):
            if name and name in refusals:
                return refusals[name](cause)
        if cause.sqlstate == DISK_FULL:
            return DiskFull()
    return error


def session(using: str) -> psycopg.Connection[Any]:
    """The database session in use. Django replaces a lost one in silence; `session.closed` tells."""
    return _session(connections[using])


def _session(connection: BaseDatabaseWrapper) -> "psycopg.Connection[Any]":
    connection.close_if_health_check_failed()  # one look per task or request, as Django's cursor does
    connection.ensure_connection()
    current: psycopg.Connection[Any] = connection.connection
    return current


def now(using: str) -> datetime:
    """The database's clock. What several processes compare must not hang on the clock of one."""
    found: datetime = fetch_all(using, "SELECT clock_timestamp()", {})[0][0]
    return found


class Savepoint:
    """A savepoint in Django's transaction, without what a nested atomic() does beside it.

    Release it before a row is ended that was locked before it: a lock and an end under two ids make a multixact, and
    what that ended no scan of an index clears away.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._connection = connections[using]
        self._hooks = len(self._connection.run_on_commit)
        fetch_all(using, "SAVEPOINT mqsite", {})

    def release(self) -> None:
        fetch_all(self._using, "RELEASE SAVEPOINT mqsite", {})

    def take_back(self) -> None:
        """All that was done since, hooks included."""
        self._connection.needs_rollback = False
        fetch_all(self._using, "ROLLBACK TO SAVEPOINT mqsite", {})
        self.release()
        del self._connection.run_on_commit[self._hooks :]


def require_sound(using: str) -> None:
    """TransactionManagementError where all that is left to do is a rollback: a database error was caught without one,
    or somebody asked for it."""
    connection = connections[using]
    connection.validate_no_broken_transaction()
    if _session(connection).info.transaction_status == TransactionStatus.INERROR:
        raise TransactionManagementError("The transaction is aborted: a database error in it was caught and passed.")


def in_transaction(using: str) -> bool:
    """Whether what is written now becomes visible only later, with somebody's COMMIT."""
    return not connections[using].get_autocommit()


def has_table(using: str, name: str) -> bool:
    """False while its migration has not run, or has been reversed."""
    return bool(fetch_all(using, "SELECT to_regclass(%(name)s)", {"name": name})[0][0])


def function_files(package: str) -> list[str]:
    """The SQL functions and triggers of one half, in the order of their names, for its migration."""
    return [path.read_text() for path in sorted((ROOT / package / "sql" / "functions").glob("*.sql"))]
