"""Our binary arrays are what the driver would send, and come back as they went."""

import pytest
from django.db import connection
from psycopg import Cursor

from mqsite import sql
from mqsite.arrays import ByteaArray, Int8Array

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("cells", [[b"a"], [b"", b"\x00\xff" * 200, b"x"], [None, b"y"], [None], [b"z"] * 10_000])
def test_bytes_come_back(cells: list[bytes | None]) -> None:
    assert _round_trip("bytea[]", ByteaArray(cells), cells) == (cells, True)


@pytest.mark.parametrize("cells", [[0], [-1, 2**63 - 1, -(2**63)], list(range(10_000))])
def test_whole_numbers_come_back(cells: list[int]) -> None:
    assert _round_trip("bigint[]", Int8Array(cells), cells) == (cells, True)


def _round_trip(kind: str, ours: object, plain: object) -> tuple[object, bool]:
    """What arrives, and whether PostgreSQL finds it equal to what the driver's own conversion sends."""
    connection.ensure_connection()
    cursor = Cursor(sql.session("default"))
    cursor.execute(f"SELECT %b::{kind}, %b::{kind} = %b::{kind}", (ours, ours, plain), binary=True)
    arrived, equal = cursor.fetchone() or (None, False)
    return arrived, equal
