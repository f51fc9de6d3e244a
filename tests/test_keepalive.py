"""The connections of a consumer say whose they are, and end when the other side is gone."""

from typing import Any

import pytest
from django.db import connection

from mqsite.keepalive import choose_options, guard_connections
from tests.concurrency import elsewhere
from tests.waiting import wait_until

SHOWN = (
    "application_name",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "tcp_user_timeout",
    "client_connection_check_interval",
)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that connect from now on are consumers."""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", dict(connection.settings_dict["OPTIONS"]))
    guard_connections("host:7:ab")


def show(*names: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, current_setting(name) FROM unnest(%s::text[]) name", [list(names)])
        return dict(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("guarded")
def test_the_server_gives_a_silent_consumer_up_within_eight_seconds() -> None:
    shown = elsewhere(lambda: show(*SHOWN))
    assert list(shown.values()) == ["host:7:ab", "2", "2", "2", "7000", "2s"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("guarded")
def test_a_lock_is_free_soon_after_its_holder_died_while_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its session would wait to the end, and only then find nobody to answer."""
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "options", "-c client_connection_check_interval=100")

    def die() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(1)")
        connection.connection.pgconn.send_query(b"SELECT pg_sleep(60)")
        connection.connection.pgconn.finish()

    elsewhere(die)
    with connection.cursor() as cursor:

        def is_free() -> bool:
            cursor.execute("SELECT pg_try_advisory_lock(1)")
            return bool(cursor.fetchone()[0])

        wait_until(is_free, seconds=5)
        cursor.execute("SELECT pg_advisory_unlock_all()")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tcp_user_timeout": 500, "prepare_threshold": 1}, {"tcp_user_timeout": 500, "prepare_threshold": 1}),
        ({"application_name": "mine"}, {"application_name": "mine"}),
    ],
)
def test_what_the_settings_say_themselves_stays(given: dict[str, Any], expected: dict[str, Any]) -> None:
    chosen = choose_options("w", 7, given)
    assert {key: chosen[key] for key in expected} == expected
    assert choose_options("w", 0, given) == {"application_name": "w", **given}


def test_the_servers_own_options_come_last_and_count() -> None:
    said = choose_options("w", 7, {"options": "-c tcp_user_timeout=1"})["options"]
    assert said.index("tcp_user_timeout=7000") < said.index("-c tcp_user_timeout=1")
