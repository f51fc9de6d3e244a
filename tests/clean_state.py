"""The database as `migrate` left it, given back after each test that commits.

Django's flush truncates every table and runs the receivers of post_migrate again: a quarter of a second a test,
whatever the test wrote. This pays for the tables in use only.
"""

from collections.abc import Iterator

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase

KEPT = ["django_migrations", "django_content_type", "auth_permission"]  # no test writes to these
# A table that was analysed has statistics that would outlive a DELETE, and pages full of the dead make plans slow.
MOST_BYTES_DELETED = 64 * 1024

IN_USE = """
    SELECT format('%%I', relname), reltuples >= 0 OR pg_relation_size(oid) > %s FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> ALL (%s) AND pg_relation_size(oid) > 0
"""

_rows: dict[str, bytes] = {}  # by table, as COPY writes them


def remember() -> None:
    """The rows that migrations and the receivers of post_migrate made."""
    with connection.cursor() as cursor:
        for table, _ in _find_in_use(cursor):
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
                _rows[table] = b"".join(copy)


def restore(_: TransactionTestCase) -> None:
    """In place of `TransactionTestCase._fixture_teardown`; sequences go on, as they do after a flush."""
    with transaction.atomic(), connection.cursor() as cursor:
        if in_use := _find_in_use(cursor):
            cursor.execute("; ".join(_empty(in_use)))
        for table, rows in _rows.items():
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
                copy.write(rows)


def _find_in_use(cursor: CursorWrapper) -> list[tuple[str, bool]]:
    """The tables that have rows, or had some; with each whether it is better truncated."""
    cursor.execute(IN_USE, [MOST_BYTES_DELETED, KEPT])
    return cursor.fetchall()


def _empty(in_use: list[tuple[str, bool]]) -> Iterator[str]:
    yield f"LOCK TABLE {', '.join(table for table, _ in in_use)}"  # waits for what a thread has yet to end, as a flush
    if truncated := [table for table, is_large in in_use if is_large]:
        yield f"TRUNCATE {', '.join(truncated)} CASCADE"
    yield from (f"DELETE FROM {table}" for table, is_large in in_use if not is_large)
