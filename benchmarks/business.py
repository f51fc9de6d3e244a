"""The row that a customer's handler or transaction writes."""

from django.db import connection


def make_business_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS bench_order (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, note text)"
        )


def insert_business_row() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_order (note) VALUES (%s)", ["placed"])


def insert_business_rows(count: int) -> None:
    """With one INSERT, as bulk_create does."""
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO bench_order (note) VALUES {', '.join(['(%s)'] * count)}", ["placed"] * count)
