"""The connections of a consumer say whose they are, and end when the other side is gone."""

from collections.abc import Callable

import pytest
from django.db import connection
from pytest_django import Settings

from mqsite import beside, keepalive
from tests.concurrency import elsewhere
from tests.keepalive import guarded
from tests.waiting import wait_until

SHOWN = (
    "application_name",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "tcp_user_timeout",
    "client_connection_check_interval",
)


def show(*names: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, current_setting(name) FROM unnest(%s::text[]) name", [list(names)])
        return dict(cursor.fetchall())


def show_beside(*names: str) -> dict[str, str]:
    try:
        text = "SELECT name, current_setting(name) FROM unnest(%(names)s::text[]) name"
        return dict(beside.execute("default", text, {"names": list(names)}))
    finally:
        beside.close("default")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("look", [show, show_beside], ids=["its connection", "the one beside it"])
def test_the_server_gives_a_silent_consumer_up_within_eight_seconds(look: Callable[..., dict[str, str]]) -> None:
    with guarded("host:7:ab"):
        shown = elsewhere(lambda: look(*SHOWN))
    assert list(shown.values()) == ["host:7:ab", "2", "2", "2", "7000", "2s"]


@pytest.mark.django_db(transaction=True)
def test_a_lock_is_free_soon_after_its_holder_died_while_it_waited(settings: Settings) -> None:
    """Its session would wait to the end, and only then find nobody to answer."""
    settings.MQSITE_CUT_SECONDS = 1

    def die() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(1)")
        connection.connection.pgconn.send_query(b"SELECT pg_sleep(60)")
        connection.connection.pgconn.finish()

    with guarded("host:7:ab"):
        elsewhere(die)
    with connection.cursor() as cursor:

        def is_free() -> bool:
            cursor.execute("SELECT pg_try_advisory_lock(1)")
            return bool(cursor.fetchone()[0])

        wait_until(is_free, seconds=5)
        cursor.execute("SELECT pg_advisory_unlock_all()")


def test_what_the_settings_say_themselves_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"tcp_user_timeout": 500, "application_name": "mine"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", given)
    with guarded("host:7:ab"):
        chosen = connection.settings_dict["OPTIONS"]
    assert chosen == keepalive.choose_options("host:7:ab", 7) | given


def test_without_a_time_only_the_name_is_set() -> None:
    assert keepalive.choose_options("host:7:ab", 0) == {"application_name": "host:7:ab"}
