"""Real servers for the tests, started once and before Django reads its settings.

DATABASE_URL and REDIS_URL in the environment take the place of the embedded servers. With pytest-xdist (-n) each
worker has servers of its own: tests look at the locks and statistics of all of theirs.
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
IN_WORKER = "PYTEST_XDIST_WORKER" in os.environ
#: What the environment may name instead of our servers; the workers of a divided run inherit these, and start theirs.
ELSEWHERE = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
NO_APPS = ","  # an empty value would let env.json speak

_servers: TemporaryServers | None = None


@pytest.hookimpl(wrapper=True)  # a wrapper runs before pytest-django's own hook, which loads the settings
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    is_divided = bool(getattr(early_config.known_args_namespace, "numprocesses", None)) and not IN_WORKER
    if is_divided or {"-h", "--help", "--version"} & set(args):
        set_environment()  # only the settings are read in this process
    else:
        start()
    return (yield)


def pytest_unconfigure() -> None:
    stop()


def start() -> None:
    global _servers
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that TERM cleans up like Ctrl-C
    given = {name for name in ELSEWHERE if os.environ.get(name, ELSEWHERE[name]) != ELSEWHERE[name]}
    _servers = TemporaryServers(with_postgres="DATABASE_URL" not in given, with_valkey="REDIS_URL" not in given)
    try:
        _servers.start()
    except BaseException:
        stop()
        raise
    if _servers.with_postgres:
        os.environ["DATABASE_URL"] = _servers.postgres.url()
    if _servers.with_valkey:
        os.environ["REDIS_URL"] = _servers.valkey.url()
    set_environment()


def set_environment() -> None:
    for name, nothing in ELSEWHERE.items():
        os.environ.setdefault(name, nothing)
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
