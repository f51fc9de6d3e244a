"""Fixtures for all tests. The servers come from `mqsite.stack.pytest_plugin`."""

import os
import random
from collections.abc import Iterator
from importlib import import_module

import pytest
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

from mqsite.stack.servers import TemporaryServers
from tests import clean_state
from tests.house import House, drop_templates


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="all cells of the fault matrix, not only each pair once")
    parser.addoption("--write-guarantees", action="store_true", help="with --full: write docs/guarantees.md")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Tests that commit leave the database as `migrate` did."""
    with django_db_blocker.unblock():
        clean_state.remember()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", clean_state.restore)
        yield


@pytest.fixture(scope="module")
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """A house with web, one worker and beat. A module may set HOUSE_ENVIRONMENT for its processes."""
    house = House(environment=getattr(request.module, "HOUSE_ENVIRONMENT", None))
    try:
        house.start_web()
        house.start_worker("worker")
        house.start_beat()
        yield house
    finally:
        house.close()


@pytest.fixture
def private_stack() -> Iterator[TemporaryServers]:
    """A PostgreSQL and a Valkey of the test's own, to kill, flush and start again."""
    servers = TemporaryServers()
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@pytest.fixture
def seed() -> int:
    """Printed, so that a failure can be sought again: MQSITE_STRESS_SEED=... takes it."""
    found = int(os.environ.get("MQSITE_STRESS_SEED") or random.randrange(10**6))
    print(f"MQSITE_STRESS_SEED={found}")
    return found


@pytest.fixture(scope="session", autouse=True)
def _templates_dropped() -> Iterator[None]:
    yield
    drop_templates()


@pytest.fixture(scope="session", autouse=True)
def _imported() -> None:
    """All addresses: defaults that are made of limits are made before a test shrinks these."""
    import_module("mqsite.urls")
