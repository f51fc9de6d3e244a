"""Real servers for the tests, started once and before Django reads its settings.

DATABASE_URL and REDIS_URL in the environment take the place of the embedded servers.
Everything a running house may have noted in `.mqsite/env.json` is overridden: tests never
touch its data.
"""

import contextlib
import os
import secrets
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from mqsite.stack.servers import TemporaryServers

PROJECT = Path(__file__).resolve().parents[2]
NO_APPS = ","  # an empty value would let env.json speak

_servers: TemporaryServers | None = None


@pytest.hookimpl(wrapper=True)  # a wrapper runs before pytest-django's own hook, which loads the settings
def pytest_load_initial_conftests(args: list[str]) -> Generator[None]:
    if not {"-h", "--help", "--version"} & set(args):
        start()
    return (yield)


def pytest_unconfigure() -> None:
    stop()


def start() -> None:
    global _servers
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that TERM cleans up like Ctrl-C
    _servers = TemporaryServers(
        with_postgres=not os.environ.get("DATABASE_URL"), with_valkey=not os.environ.get("REDIS_URL")
    )
    try:
        _servers.start()
    except BaseException:
        stop()
        raise
    if _servers.with_postgres:
        os.environ["DATABASE_URL"] = _servers.postgres.url()
    if _servers.with_valkey:
        os.environ["REDIS_URL"] = _servers.valkey.url()
    os.environ |= {
        "MQSITE_SECRET_KEY": secrets.token_urlsafe(32),
        "MQSITE_APPS": "examples.flights" if (PROJECT / "examples" / "flights").is_dir() else NO_APPS,
        "MQSITE_PREFIX": f"test-{os.getpid()}",
        "MQSITE_SEGMENT_QUIET_SECONDS": "0",
        "MQSITE_DEBUG": "0",
        "MQSITE_OPEN_OVERVIEW": "0",
        "MQSITE_SERVE_STATIC_UNCOLLECTED": "1",
    }


def stop() -> None:
    global _servers
    servers, _servers = _servers, None
    if servers:
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C must not leave a server behind
            servers.close()
