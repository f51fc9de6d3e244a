"""A disk that runs full: the publisher is told so, nothing that was acknowledged goes, and it goes on with room."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mqsite.errors import DiskFull
from mqsite.exceptions import handle_exception
from mqsite.stack.placement import Placement
from mqsite.stack.postgres import UNSAFE_SETTINGS, Postgres
from mqsite.stack.servers import TemporaryServers
from tests.house import PROJECT, House

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DISK_BYTES = 192 * 1024 * 1024
ROOM_BYTES = 40 * 1024 * 1024  # what the publisher may fill

# Publishes records of 200 kB that begin with their number, until it is refused or has published `most`.
PUBLISH = """
import json, random, sys
import django
django.setup()
from django.db import transaction
from logs import services
manner, first, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
placed, refused = [], None
for n in range(first, first + most):
    value = b"%08d" % n + random.Random(n).randbytes(200_000)
    try:
        if manner == "staged":
            with transaction.atomic():
                services.publish("orders", value, boundary="shop")
                services.publish("orders", b"%08d" % n, boundary="shop")
            placed.append([n, None])
        else:
            id_ = str(n) if manner == "with id" else None
            placed.append([n, services.publish("orders", value, id=id_, boundary="shop").offset])
    except Exception as error:
        cause = error.__cause__ or error
        cause = getattr(cause, "__cause__", None) or cause
        refused = [type(error).__name__, getattr(error, "code", None), getattr(cause, "sqlstate", None), str(error)]
        break
print(json.dumps([placed, refused]))
"""
READ = """
import json, random
import django
django.setup()
from logs import selectors, services
found = []
for record in services.read_records("orders"):
    n = int(record.value[:8])
    found.append([record.offset, n, record.value[8:] in (b"", random.Random(n).randbytes(200_000))])
print(json.dumps([selectors.bounds("orders")[0][2:4], found]))
"""
CREATE = 'import django; django.setup(); from logs import services; services.create_topic("orders", owner="shop")'


@dataclass
class SmallDisk:
    folder: Path

    def fill(self) -> None:
        """All but ROOM_BYTES."""
        free = shutil.disk_usage(self.folder).free
        with (self.folder / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, free - ROOM_BYTES)

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()

    def take_in(self, folder: Path) -> None:
        """A folder of a stopped server goes on here."""
        subprocess.run(["cp", "-a", folder, self.folder / folder.name], check=True)
        shutil.rmtree(folder)
        folder.symlink_to(self.folder / folder.name)


@dataclass
class Server:
    postgres: Postgres
    house: House
    disk: SmallDisk

    def run(self, program: str, *args: str) -> Any:
        command = [sys.executable, "-c", program, *args]
        env = {**self.house.environment, "DJANGO_SETTINGS_MODULE": "mqsite.settings", "MQSITE_LOG_LEVEL": "CRITICAL"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=env, cwd=PROJECT)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    def move_to_disk(self, name: str) -> None:
        self.postgres.stop()
        self.disk.take_in(self.postgres.data / name)
        self.postgres.start()


@pytest.fixture
def servers() -> Iterator[TemporaryServers]:
    made = TemporaryServers(with_valkey=False)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def disk(servers: TemporaryServers) -> Iterator[SmallDisk]:
    folder = servers.folder / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0711", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"FULL DISKS ARE NOT TESTED: no tmpfs can be mounted here: {mounted.stderr}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def server(servers: TemporaryServers, disk: SmallDisk) -> Iterator[Server]:
    """PostgreSQL with all but what a test moves to the small disk elsewhere, and a house on it with one topic."""
    placed = servers.placement
    postgres = Postgres(
        Placement(placed.programs, placed.folder, placed.account),
        password="for tests",
        log=servers.folder / "small.log",
        settings={**UNSAFE_SETTINGS, "max_wal_size": "10GB", "checkpoint_timeout": "1h", "autovacuum": "off"},
    )
    try:
        postgres.start()
        with closing(House(database_url=postgres.url(), redis_url=os.environ["REDIS_URL"])) as house:
            server = Server(postgres, house, disk)
            server.run(CREATE)
            yield server
    finally:
        postgres.abort()


@pytest.mark.parametrize("manner", ["direct", "with id", "staged"])
def test_when_the_tables_have_no_room_the_publisher_is_told_and_all_else_goes_on(server: Server, manner: str) -> None:
    server.move_to_disk("base")
    server.disk.fill()
    placed, refused = server.run(PUBLISH, manner, "0", "10000")
    assert refused is not None
    assert "disk_full" in refused or "53100" in refused, refused
    assert_stands(server, manner, placed)
    again, refused = server.run(PUBLISH, manner, "20000", "1")
    assert again or "disk_full" in refused or "53100" in refused, refused  # a little room may be left
    server.disk.make_room()
    placed += again + server.run(PUBLISH, manner, "30000", "10")[0]
    assert placed[-1][0] == 30_009
    assert_stands(server, manner, placed)


def test_when_the_wal_has_no_room_the_connection_is_lost_and_nothing_that_was_acknowledged(server: Server) -> None:
    server.move_to_disk("pg_wal")
    server.disk.fill()
    placed, refused = server.run(PUBLISH, "direct", "0", "10000")
    assert refused is not None
    assert refused[0] in {"DiskFull", "OperationalError"}, refused
    server.disk.make_room()
    server.postgres.kill()  # it may have ended by itself, or be waiting for room
    server.postgres.start()
    (_, end), found = server.run(READ)
    assert end - len(placed) in {0, 1}, "one may have been stored without an answer"
    assert [n for _, n, _ in found][: len(placed)] == [n for n, _ in placed]
    more, refused = server.run(PUBLISH, "direct", "20000", "10")
    assert (more[0][1], refused) == (end, None)
    assert_dense_and_whole(server)


def assert_stands(server: Server, manner: str, placed: list[list[int]]) -> None:
    found = assert_dense_and_whole(server)
    per_publish = 2 if manner == "staged" else 1
    assert [n for _, n, _ in found] == [n for n, _ in placed for _ in range(per_publish)]
    if manner != "staged":
        assert [[n, offset] for offset, n, _ in found] == placed


def assert_dense_and_whole(server: Server) -> list[list[int]]:
    (start, end), found = server.run(READ)
    assert [offset for offset, _, _ in found] == list(range(start, end))
    assert all(whole for *_, whole in found)
    return list(found)


def test_over_rest_it_is_insufficient_storage_and_worth_a_retry() -> None:
    response = handle_exception(DiskFull(), {})
    assert response is not None
    assert response.status_code == 507
    assert response.data == {
        "code": "disk_full",
        "message": "The database's disk is full: nothing of this was stored. It goes on as soon as there is room.",
        "permanent": False,
        "facts": {},
    }
