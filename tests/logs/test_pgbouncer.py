"""Nothing of the log is bound to a database connection: it works through PgBouncer in transaction mode."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction

from logs import services
from logs.services import NewRecord
from tests.concurrency import all_at_once, elsewhere
from tests.keepalive import guarded
from tests.waiting import wait_until

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed (Debian: apt-get install pgbouncer)"),
]

CONFIG = """
[databases]
{NAME} = host={HOST} port={PORT} dbname={NAME} user={USER} password={PASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""


@pytest.fixture
def bouncer(tmp_path: Path) -> Iterator[None]:
    """The test's connections go through PgBouncer, which has two of its own."""
    database = dict(connection.settings_dict)
    threshold = connection.settings_dict["OPTIONS"]["prepare_threshold"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "pgbouncer.ini"
    config.write_text(CONFIG.format(listen_port=port, **database))
    as_root = ["-u", "nobody"] if os.geteuid() == 0 else []
    if as_root:
        shutil.chown(config, "nobody")
        for folder in (tmp_path, *list(tmp_path.parents)[:3]):
            folder.chmod(folder.stat().st_mode | 0o011)
    with subprocess.Popen([str(PGBOUNCER), "-q", *as_root, str(config)]) as process:
        try:
            wait_until(lambda: _accepts(port), message="PgBouncer to listen")
            connection.close()
            connection.settings_dict["PORT"] = port
            connection.settings_dict["OPTIONS"]["prepare_threshold"] = None  # Debian's PgBouncer is 1.18
            yield
        finally:
            connection.close()
            connection.settings_dict["PORT"] = database["PORT"]
            connection.settings_dict["OPTIONS"]["prepare_threshold"] = threshold
            process.terminate()


@pytest.mark.usefixtures("bouncer")
def test_publishing_in_and_out_of_transactions_and_consuming() -> None:
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])
    all_at_once([_publish] * 4)
    assert [len(services.fetch("orders", p, 0)) for p in (0, 1)] == [80, 80]
    assignment = services.acquire_partition("billing", "orders", 0, member="a")
    assert assignment
    with transaction.atomic():
        services.commit_offset(assignment, 60)
    (moved, _) = services.reset_offsets("billing", "to-earliest", actor="ann")["partitions"]
    assert moved["from"] == 60


@pytest.mark.usefixtures("bouncer")
def test_a_consumer_connects_with_its_keepalives() -> None:
    services.create_topic("orders", owner="shop", partitions=2)
    with guarded("host:7:ab"):
        elsewhere(_publish)
    assert len(services.fetch("orders", 0, 0)) == 20


def _publish() -> None:
    for n in range(10):
        services.publish_many("orders", [NewRecord(n, partition=p) for p in (0, 1)], boundary="shop")
        with transaction.atomic():
            services.publish("orders", n, partition=1, boundary="shop")
            services.publish("orders", n, partition=0, boundary="shop")


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
