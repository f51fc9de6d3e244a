"""`play_flights` goes on where it was stopped, by whatever."""

import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import LiteralString

import pytest

from examples.flights.expected import expect
from mqsite.stack.processes import Program
from mqsite.stack.servers import TemporaryServers
from tests.concurrency import all_at_once
from tests.house import PROJECT, House
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

QUICK = "200000"  # a day in less than half a second, if it could be played as fast


@pytest.fixture
def house() -> Iterator[House]:
    with closing(House()) as house:
        yield house


def start_playing(house: House, *args: str) -> Program:
    program = Program(
        "play",
        [sys.executable, "manage.py", "play_flights", *args],
        log=house.folder / "play.log",
        env=house.environment,
        cwd=PROJECT,
    )
    house.programs[program.name] = program  # so that it is stopped with the house
    program.start()
    return program


def count(house: House, table: LiteralString) -> int:
    with house.connect() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def departures(house: House) -> int:
    return count(house, "flights_departure")


def test_it_goes_on_and_says_when_it_is_complete(house: House) -> None:
    first = house.manage("play_flights", "--days", "1", "--all-at-once")
    assert first.splitlines()[-2:] == ["1 January: 842 of 842 departures", "Complete: 842 departures."]
    second = house.manage("play_flights", "--days", "2", "--all-at-once")
    assert second.splitlines()[0] == "2 January: 1,785 of 1,785 departures"
    assert house.manage("play_flights", "--days", "2").splitlines() == ["Complete: 1,785 departures."]
    assert departures(house) == expect(2).records


def test_two_at_once_record_each_departure_once(house: House) -> None:
    play = partial(house.manage, "play_flights", "--all-at-once", "--days", "2")
    for output in all_at_once([play, play]):
        assert output.endswith(f"Complete: {expect(2).records:,} departures.\n")
    assert departures(house) == count(house, "logs_record") == expect(2).records


def test_sigterm_ends_it_without_a_word_of_python(house: House) -> None:
    playing = start_playing(house, "--speed", QUICK)
    wait_until(lambda: departures(house) > 100, seconds=20)
    playing.ask_to_stop()
    wait_until(lambda: playing.ended() is not None)
    assert playing.ended() == 0
    assert house.logs("play").splitlines()[-1] == "Stopped. Start again to go on."
    assert "Traceback" not in house.logs("play")
    assert departures(house) == count(house, "logs_record") < expect().records


def test_a_database_that_restarts_is_waited_for(private_stack: TemporaryServers) -> None:
    with closing(House(database_url=private_stack.postgres.url())) as house:
        playing = start_playing(house, "--days", "1", "--speed", QUICK)
        wait_until(lambda: departures(house) > 100, seconds=20)
        private_stack.postgres.kill()
        wait_until(lambda: "Trying again" in house.logs("play"))
        private_stack.postgres.start()
        wait_until(lambda: playing.ended() is not None, seconds=30)
        assert playing.ended() == 0
        assert house.logs("play").splitlines()[-1] == "Complete: 842 departures."
        assert departures(house) == count(house, "logs_record") == expect(1).records
