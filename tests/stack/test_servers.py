"""The embedded servers come back after a crash, with what they had acknowledged."""

import os
import signal
from collections.abc import Iterator

import psycopg
import pytest
import redis

from mqsite.stack.postgres import Postgres
from mqsite.stack.servers import TemporaryServers
from mqsite.stack.valkey import Valkey


@pytest.fixture(scope="module")
def servers() -> Iterator[TemporaryServers]:
    """Of the module's own: each test leaves both running."""
    servers = TemporaryServers()
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@pytest.fixture
def postgres(servers: TemporaryServers) -> Postgres:
    return servers.postgres


@pytest.fixture
def valkey(servers: TemporaryServers) -> Valkey:
    return servers.valkey


def test_postgres_recovers_from_a_killed_postmaster_on_the_same_port(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        url = postgres.url()
        os.kill(postgres.pid, signal.SIGKILL)  # only the postmaster: its children have to be found
        postgres.start()
    assert postgres.url() == url
    with psycopg.connect(postgres.url()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)


def test_postgres_asks_for_its_password_and_listens_on_loopback_only(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url()) as connection:
        shown = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('password_encryption'),"
            " (SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules)"
        ).fetchone()
    assert shown == ("127.0.0.1", "scram-sha-256", ["scram-sha-256"])


def test_valkey_keeps_its_keys_over_a_kill(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url()) as client:
        client.set("kept", 1)
        client.waitaof(1, 0, 2000)  # on disk: everysec alone may lose the last second
    valkey.kill()
    valkey.start()
    with redis.Redis.from_url(valkey.url()) as client:
        assert client.get("kept") == b"1"


def test_valkey_starts_empty_when_its_file_is_broken(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url()) as client:
        client.set("lost", 1)
    valkey.stop()
    for part in (valkey.folder / "appendonlydir").glob("*.incr.aof"):
        part.write_bytes(b"not an append-only file" * 10)
    valkey.start()
    with redis.Redis.from_url(valkey.url()) as client:
        assert client.get("lost") is None
