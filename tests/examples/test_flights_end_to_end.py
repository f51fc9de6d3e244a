"""Flights through real processes that are reset, killed and cut off: every number equals what the file says."""

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeAlias

import psycopg
import pytest
import redis

from mqsite.stack.servers import TemporaryServers
from mqsite.stack.valkey import Valkey
from tests.concurrency import in_thread
from tests.examples.readings import final_state
from tests.house import House
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # half a minute on two idle cores, several on busy ones
]

MONTH_DAYS = 31
TEN_DAYS = 10
START_SECONDS = 60.0
FINISH_SECONDS = 120.0
CALM_SECONDS = 60.0

Connection: TypeAlias = psycopg.Connection[Any]

LOOK = "from tests.examples.readings import print_state; print_state()"
COUNT = "SELECT coalesce(sum(departures + cancelled), 0) FROM flights_boardrow"
# Begins to look before the play does: to start a process takes longer than the month on a good day.
RESET = f"""
from django.db import connection
from logs.services import reset_offsets
from tests.waiting import wait_until

def count():
    with connection.cursor() as cursor:
        cursor.execute("{COUNT}")
        return cursor.fetchone()[0]

wait_until(lambda: count() > 1_000, seconds={START_SECONDS})
reset_offsets("delay-board", "to-earliest", actor="test")
"""


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """One of the test's own, to flush and kill."""
    servers = TemporaryServers(with_postgres=False)
    try:
        servers.start()
        yield servers.valkey
    finally:
        servers.close()


@pytest.fixture
def open_house() -> Iterator[Callable[..., House]]:
    """A house with two workers. No web and no beat: consumers need neither."""
    with contextlib.ExitStack() as stack:

        def open_house(redis_url: str | None = None, **environment: str) -> House:
            house = stack.enter_context(contextlib.closing(House(redis_url=redis_url, environment=environment)))
            house.start_worker("first")
            house.start_worker("second")
            return house

        yield open_house


def test_a_reset_while_flights_are_played(open_house: Callable[..., House]) -> None:
    house = open_house()
    with house.connect() as connection:
        resetting = in_thread(lambda: house.manage("shell", "--verbosity", "0", "-c", RESET))
        playing = play(house, MONTH_DAYS)
        resetting.result(START_SECONDS)
        assert not playing.done(), "played to the end before the reset"
        finish(house, connection, playing, MONTH_DAYS)


def test_a_killed_worker(open_house: Callable[..., House]) -> None:
    house = open_house()
    with house.connect() as connection:
        playing = play(house, TEN_DAYS)
        wait_until(lambda: counted(connection) > 1_000, seconds=START_SECONDS)
        house.kill_worker("first")
        assert counted(connection) < final_state(TEN_DAYS)["records"], "read to the end before the kill"
        house.start_worker("third")
        finish(house, connection, playing, TEN_DAYS)


def test_a_flushed_and_killed_valkey(valkey: Valkey, open_house: Callable[..., House]) -> None:
    house = open_house(valkey.url())
    with house.connect() as connection, redis.Redis.from_url(valkey.url()) as client:
        playing = play(house, TEN_DAYS)
        wait_until(lambda: counted(connection) > 1_000, seconds=START_SECONDS)
        client.flushall()
        wait_until(lambda: counted(connection) > 3_000, seconds=START_SECONDS)
        valkey.kill()
        assert counted(connection) < final_state(TEN_DAYS)["records"], "read to the end before the kill"
        valkey.start()
        finish(house, connection, playing, TEN_DAYS)


def test_cut_connections(open_house: Callable[..., House]) -> None:
    """Every connection is cut while its worker rests; then wake-ups alone, without a sweep, get it all done."""
    house = open_house(MQSITE_SWEEP_SECONDS="600")
    with house.connect() as connection:
        finish(house, connection, play(house, 1), 1)
        cut = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
        assert len(cut) >= 4
        finish(house, connection, play(house, 2), 2)


def play(house: House, days: int) -> Future[str]:
    return in_thread(lambda: house.manage("play_flights", "--all-at-once", "--days", str(days)))


def counted(connection: Connection) -> int:
    """The events on the board so far."""
    row = connection.execute(COUNT).fetchone()
    assert row is not None
    return int(row[0])


def rebooked(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM flights_rebooking").fetchone()
    assert row is not None
    return int(row[0])


def finish(house: House, connection: Connection, playing: Future[str], days: int) -> None:
    """Everything is played, read and handled, and adds up."""
    final = final_state(days)
    assert f"Complete: {final['records']:,} departures." in playing.result(FINISH_SECONDS)
    wait_until(lambda: counted(connection) >= final["records"], seconds=FINISH_SECONDS, message="all is counted")
    wait_until(lambda: rebooked(connection) >= final["rebookings"], seconds=FINISH_SECONDS, message="all is rebooked")
    with contextlib.suppress(AssertionError):  # a comparison of the two says more
        wait_until(lambda: look(house) == final, seconds=CALM_SECONDS)
    assert look(house) == final


def look(house: House) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(house.manage("shell", "--verbosity", "0", "-c", LOOK))
    return state
