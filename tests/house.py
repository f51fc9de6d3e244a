"""A whole house for end-to-end tests: a database of its own, a web server, workers and beat, all real."""

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from mqsite.stack import ports, processes
from tests.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[1]
# Redis and Valkey have 16 databases unless told otherwise; pub/sub ignores them, so the prefix counts.
REDIS_DATABASES = 15
SHRUNK_TIMINGS = {
    "MQSITE_HEARTBEAT_SECONDS": "0.5",
    "MQSITE_MEMBER_SECONDS": "2",
    "MQSITE_SWEEP_SECONDS": "1",
}
START_SECONDS = 30

_numbers = itertools.count()
_templates: dict[tuple[str, str], str] = {}


class House:
    """Start what the test needs; `close` stops all of it and drops the database."""

    def __init__(
        self,
        *,
        database_url: str | None = None,
        redis_url: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """The servers of the test run unless told otherwise; the environment is for the child processes."""
        self.server_url = database_url or os.environ["DATABASE_URL"]
        self.name = f"house_{os.getpid()}_{next(_numbers)}"
        self.port = 0
        self.programs: dict[str, processes.Program] = {}
        redis_number = 1 + next(_numbers) % REDIS_DATABASES
        self.environment = {
            **os.environ,
            **SHRUNK_TIMINGS,
            "DATABASE_URL": replace_path(self.server_url, self.name),
            "REDIS_URL": replace_path(redis_url or os.environ["REDIS_URL"], str(redis_number)),
            "MQSITE_PREFIX": self.name,
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }
        self._create_database()
        self.folder = processes.make_temporary_folder("mqsite-house-")

    # What the house does

    def manage(self, *args: str, expect_code: int = 0) -> str:
        """Runs `manage.py`; returns its output, fails when its exit code is another than expected."""
        code, output = processes.run([sys.executable, "manage.py", *args], env=self.environment, cwd=PROJECT)
        assert code == expect_code, f"manage.py {' '.join(args)} ended with {code}:\n{output}"
        return output

    def connect(self) -> psycopg.Connection[Any]:
        """A connection in autocommit mode; the caller closes it."""
        return psycopg.connect(self.environment["DATABASE_URL"], autocommit=True)

    def create_admin(self) -> tuple[str, str]:
        user, password = f"admin{next(_numbers)}", secrets.token_urlsafe(12)
        environment = {**self.environment, "DJANGO_SUPERUSER_PASSWORD": password}
        code, output = processes.run(
            [sys.executable, "manage.py", "createsuperuser", "--noinput", "--username", user, "--email", "a@localhost"],
            env=environment,
            cwd=PROJECT,
        )
        assert code == 0, output
        return user, password

    def url(self, path: str = "/") -> str:
        return f"http://{ports.LOOPBACK}:{self.port}{path}"

    # Processes

    def start_web(self) -> None:
        """Returns when it answers; keeps its port over restarts."""
        self.port = ports.find_free(self.port or None)
        self._start(
            "web",
            *("uvicorn", "mqsite.asgi:application", "--host", ports.LOOPBACK, "--port", str(self.port)),
            *("--timeout-graceful-shutdown", "2"),
        )
        self._wait("web", lambda: answers_http(self.url("/")))

    def stop_web(self) -> None:
        self.programs["web"].stop()

    def restart_web(self) -> None:
        self.stop_web()
        self.start_web()

    def start_worker(self, name: str = "worker", *, concurrency: int = 2, **environment: str) -> None:
        """Returns when it is ready to consume."""
        self._start(
            name,
            *("celery", "-A", "mqsite", "worker", "--queues", "consume", "--concurrency", str(concurrency)),
            *("--without-gossip", "--without-mingle", "--hostname", f"{name}@{self.name}", "--loglevel", "INFO"),
            **environment,
        )
        self._wait(name, lambda: " ready." in self.logs(name))

    def stop_worker(self, name: str = "worker") -> None:
        """Warm shutdown, as on a deploy."""
        self.programs[name].stop()

    def kill_worker(self, name: str = "worker") -> None:
        """kill -9 of the worker and all its children at once."""
        self.programs[name].kill()

    def kill_child_of(self, name: str = "worker") -> int:
        """kill -9 of one prefork child; returns its pid."""
        child = wait_until(lambda: children_of(self.programs[name].pid), message=f"{name} has no child")[0]
        os.kill(child, signal.SIGKILL)
        return child

    def start_beat(self) -> None:
        self._start("beat", *("celery", "-A", "mqsite", "beat", "--schedule", str(self.folder / "beat"), "--pidfile="))

    def stop_beat(self) -> None:
        self.programs["beat"].stop()

    def logs(self, name: str) -> str:
        """All that the process of that name has printed since it was last started."""
        log = self.folder / f"{name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def close(self) -> None:
        for program in self.programs.values():
            program.ask_to_stop()
        for program in self.programs.values():
            program.stop()
        self._drop_database()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Below the surface

    def _start(self, name: str, program: str, *args: str, **environment: str) -> None:
        log = self.folder / f"{name}.log"
        log.write_text("")
        self.programs[name] = processes.Program(
            name,
            [sys.executable, "-m", program, *args],
            log=log,
            env={**self.environment, **environment},
            cwd=PROJECT,
            stop_seconds=15,
        )
        self.programs[name].start()

    def _wait(self, name: str, is_ready: Any) -> None:
        def ready_or_ended() -> bool:
            ended = self.programs[name].ended()
            assert ended is None, f"{name} ended with {ended}:\n{self.logs(name)}"
            return bool(is_ready())

        try:
            wait_until(ready_or_ended, seconds=START_SECONDS, message=f"{name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs(name)}") from None

    def _create_database(self) -> None:
        template = migrated_template(self.server_url, self.environment)
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(self.name), sql.Identifier(template))
            )

    def _drop_database(self) -> None:
        # The server may be one that the test killed.
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(self.server_url, autocommit=True) as connection,
        ):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))


def migrated_template(server_url: str, environment: Mapping[str, str]) -> str:
    """A database with all migrations applied, made once per server and set of apps; copying it is fast."""
    apps = environment["MQSITE_APPS"]
    if (server_url, apps) not in _templates:
        name = f"template_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        code, output = processes.run(
            [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"],
            env={**environment, "DATABASE_URL": replace_path(server_url, name)},
            cwd=PROJECT,
        )
        assert code == 0, f"migrate ended with {code}:\n{output}"
        _templates[server_url, apps] = name
    return _templates[server_url, apps]


def drop_templates() -> None:
    for server_url, apps in list(_templates):
        name = _templates.pop((server_url, apps))
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def replace_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


def answers_http(url: str) -> bool:
    """Any status counts: whoever answers is up."""
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


def children_of(pid: int) -> list[int]:
    code, output = processes.run(["ps", "-o", "pid=", "--ppid", str(pid)], env=os.environ, cwd=PROJECT)
    return [int(child) for child in output.split()] if code == 0 else []
