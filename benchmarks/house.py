"""The servers of a benchmark: a private PostgreSQL as durable as its defaults, and a private Valkey."""

import contextlib
import functools
import os
import platform
import secrets
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import django
import psycopg

from mqsite.memory import freeze_startup
from mqsite.stack import processes
from mqsite.stack.errors import StackError
from mqsite.stack.postgres import Postgres
from mqsite.stack.servers import TemporaryServers

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = {"shared_buffers": "1GB"}  # all that differs from what bin/up runs
REPORTED = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")
FLUSHES = 2_000
WORKER_SECONDS = 60


class NotHere(StackError):
    """What a case needs is not in this build, or cannot be installed here. It is reported, and the others run."""


class BenchmarkServers(TemporaryServers):
    @functools.cached_property
    def postgres(self) -> Postgres:
        return Postgres(
            self.placement, password=secrets.token_urlsafe(16), log=self.folder / "postgres.log", settings=SETTINGS
        )


@contextlib.contextmanager
def run_house() -> Iterator[BenchmarkServers]:
    """Both servers, migrated, and Django set up on them. All of it goes at the end, also after Ctrl-C."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that TERM cleans up like Ctrl-C
    servers = BenchmarkServers()
    try:
        servers.start()
        _set_environment(servers)
        migrate(os.environ)
        django.setup()
        freeze_startup()
        yield servers
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C must not leave a server behind
            servers.close()


def _set_environment(servers: BenchmarkServers) -> None:
    os.environ |= {
        "DATABASE_URL": servers.postgres.url(),
        "REDIS_URL": servers.valkey.url(),
        "DJANGO_SETTINGS_MODULE": "mqsite.settings",
        "MQSITE_SECRET_KEY": secrets.token_urlsafe(32),
        "MQSITE_APPS": "benchmarks",
        "MQSITE_PREFIX": "benchmark",
        "MQSITE_SEGMENT_QUIET_SECONDS": "0",  # expiry is measured without the wait for dumps
        "MQSITE_DEBUG": "0",
        "MQSITE_OPEN_OVERVIEW": "0",
        "MQSITE_LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(PROJECT),
    }


def migrate(env: Mapping[str, str]) -> None:
    command = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
    code, output = processes.run(command, env=env, cwd=PROJECT)
    if code:
        raise StackError(f"migrate ended with {code}:\n{output}")


def connect() -> psycopg.Connection[Any]:
    """A connection past Django, in autocommit."""
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def settle() -> None:
    """Let the loading end here, and not in the middle of what is measured. Statistics stay the product's affair."""
    with connect() as connection:
        connection.execute("VACUUM")
        connection.execute("CHECKPOINT")


class Worker:
    """A Celery worker of 2 processes that can be there or not. `command` leads to its application."""

    def __init__(self, log: Path, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.program = processes.Program(
            "worker",
            [*command, "--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "INFO"],
            log=log,
            env=env,
            cwd=PROJECT,
            stop_seconds=30,
        )

    def ensure(self, *, is_running: bool) -> None:
        """Returns when it is ready, or gone."""
        if not is_running:
            self.program.stop()
        elif self.program.process is None:
            self.program.log.write_text("")
            self.program.start()
            wait_until_said(self.program, " ready.")


def wait_until_said(program: processes.Program, words: str) -> None:
    """Until its log has them."""
    deadline = time.monotonic() + WORKER_SECONDS
    while words not in program.log.read_text(errors="replace"):
        if program.ended() is not None or time.monotonic() > deadline:
            raise StackError("\n".join([f"The {program.name} did not start. Its last lines:", *program.last_lines()]))
        time.sleep(0.1)


@contextlib.contextmanager
def run_worker(command: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Iterator[Worker]:
    """This project's unless a command says whose. Not there yet, and gone at the end."""
    folder = processes.make_temporary_folder("mqsite-worker-")
    worker = Worker(
        folder / "worker.log",
        command or (sys.executable, "-m", "celery", "-A", "mqsite", "worker", "--queues", "consume"),
        env or {**os.environ, "MQSITE_LOG_LEVEL": "INFO"},  # it says there when it is ready
    )
    try:
        yield worker
    finally:
        worker.ensure(is_running=False)
        shutil.rmtree(folder, ignore_errors=True)


def describe_setting() -> list[str]:
    """What the figures hold for, a sentence each."""
    with connect() as connection:
        version = connection.info.parameter_status("server_version")
        settings = [f"{name} {connection.execute(f'SHOW {name}').fetchone()[0]}" for name in REPORTED]  # type: ignore[index]
    median, longest = measure_flushes()
    return [
        f"PostgreSQL {version}: {', '.join(settings)}.",
        f"{os.cpu_count()} cores, shared by servers and clients; load average before: {os.getloadavg()[0]:.1f}.",
        f"Flushing 8 kB to this disk takes {median * 1e6:.0f} µs, the longest of {FLUSHES:,} {longest * 1e3:.0f} ms.",
        f"Python {platform.python_version()}, Django {django.__version__}, psycopg {psycopg.__version__}.",
    ]


def measure_flushes() -> tuple[float, float]:
    """Seconds: the median, which in memory would be next to nothing, and so would be what the figures say; and the
    longest, which whatever waits for a commit meets some time."""
    flush = getattr(os, "fdatasync", os.fsync)
    times = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(FLUSHES):
            started = time.perf_counter()
            file.write(bytes(8192))
            flush(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times), max(times)
