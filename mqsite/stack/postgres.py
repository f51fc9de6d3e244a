"""One embedded PostgreSQL server: made, started, recovered and stopped with its own programs."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from mqsite.stack import ports, processes
from mqsite.stack.errors import StackError
from mqsite.stack.placement import Placement

USER = "mqsite"
DATABASE = "mqsite"
PORT_TRIES = 3
READY_SECONDS = 300  # crash recovery of much data takes a while
LEFTOVER_SECONDS = 10
SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",
}
# For tests only: fast, and lost at the first power cut. With fsync off a synchronous commit costs
# nothing, and tests that kill the server may then expect what it had committed.
UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}

# Nobody guesses at a password that lives for minutes: with the usual 4,096 rounds, half of a connection is hashing.
UNSAFE_INITDB = ["--no-sync", "-c", "scram_iterations=1"]


class Postgres:
    name = "PostgreSQL"

    def __init__(
        self,
        placement: Placement,
        *,
        password: str,
        log: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.placement = placement
        self.data = placement.folder / "postgres"
        self.password = password
        self.log = log
        self.port = port
        self.settings = {**SETTINGS, **(settings or {})}
        self.is_announced = False  # then others know the port, and it may not change
        self.program: processes.Program | None = None

    @property
    def pid(self) -> int:
        assert self.program is not None
        return self.program.pid

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{quote(self.password, safe='')}@{ports.LOOPBACK}:{self.port}/{database}"

    def has_data(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def start(self) -> None:
        """Returns when the server answers and has its database."""
        self.kill()  # what is left of a crashed one
        if not self.has_data():
            self._make_data()
        self._refuse_other_major()
        end_leftovers(self.data)
        for attempt in range(1, PORT_TRIES + 1):
            if not self.is_announced:
                self.port = ports.find_free(self.port)
            self._spawn()
            if self._becomes_ready():
                break
            lines = processes.last_lines(self.log)
            if attempt == PORT_TRIES or not any("could not bind" in line for line in lines):
                raise StackError("\n".join(["PostgreSQL did not start. Its last lines:", *lines]))
        self._ensure_database()
        self.is_announced = True

    def ended(self) -> int | None:
        return self.program.ended() if self.program else 0

    def stop(self) -> None:
        """Fast shutdown: ends every connection, writes a checkpoint."""
        if self.program:
            self.program.stop()

    def abort(self) -> None:
        """Immediate shutdown: no checkpoint, but unlike a kill it leaves no shared memory behind."""
        if self.program:
            self.program.ask_to_stop(signal.SIGQUIT)
            self.program.stop()

    def kill(self) -> None:
        if self.program:
            self.program.kill()

    def last_lines(self) -> list[str]:
        return processes.last_lines(self.log)

    def _make_data(self) -> None:
        """Into a folder of another name first: an interrupted initdb leaves nothing that looks finished."""
        unfinished = self.data.with_name("postgres.new")
        password_file = self.data.with_name("postgres.password")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        account = self.placement.account
        try:
            password_file.touch(mode=0o600)
            password_file.write_text(self.password)
            if account:
                os.chown(unfinished, account.uid, account.gid)
                os.chown(password_file, account.uid, account.gid)
            code, output = processes.run(
                [
                    *(str(self.placement.programs / "initdb"), "-D", str(unfinished), "-U", USER),
                    *("--auth=scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                    *(UNSAFE_INITDB if self.settings.get("fsync") == "off" else []),
                ],
                env=self._env(),
                cwd=self.placement.folder,
                account=account,
            )
        finally:
            password_file.unlink(missing_ok=True)
        if code:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise StackError(f"PostgreSQL's initdb failed. It said:\n{output.strip()}")
        unfinished.rename(self.data)

    def _refuse_other_major(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        said = subprocess.run(
            [self.placement.programs / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        ours = said.stdout.split()[-1].split(".")[0]
        if found != ours:
            raise StackError(
                f"The data in {self.data} is PostgreSQL {found}'s and this version runs {ours}: "
                f"dump it with {found} and restore it, or start afresh with bin/up --reset."
            )

    def _spawn(self) -> None:
        settings = {**self.settings, "port": str(self.port)}
        self.program = processes.Program(
            self.name,
            [
                *(str(self.placement.programs / "postgres"), "-D", str(self.data)),
                *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
            ],
            log=self.log,
            env=self._env(),
            cwd=self.placement.folder,
            stop_signal=signal.SIGINT,
            stop_seconds=60,
            account=self.placement.account,
        )
        self.program.start()

    def _becomes_ready(self) -> bool:
        assert self.program is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.program.ended() is None:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise StackError(
                        f"The password kept in .mqsite/ does not open the data in {self.data}: "
                        "put back its secrets.json, or start afresh with bin/up --reset."
                    ) from None
                time.sleep(0.03)
            else:
                return True
        return False

    def _ensure_database(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _env(self) -> dict[str, str]:
        # LC_ALL: a locale that the system does not have would fail initdb. No PG* variable may reach it.
        return {"PATH": os.defpath, "LC_ALL": "C"}


def end_leftovers(data: Path) -> None:
    """Ends what a killed parent may have left on this data, and the pid file that says it runs.

    The caller holds the house's lock, so no other house may run on it. PostgreSQL
    itself would trust the file as long as *any* process has that pid.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while leftovers := find_processes(data, pid_file):
        late = time.monotonic() > deadline
        for pid in leftovers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGQUIT)
        time.sleep(0.1)
    pid_file.unlink(missing_ok=True)


def find_processes(data: Path, pid_file: Path) -> list[int]:
    """Server processes that still run on a data directory."""
    if sys.platform != "linux":
        return find_by_pid_file(pid_file)
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and _works_in(entry, data) and not _is_zombie(entry)
    ]


def find_by_pid_file(pid_file: Path) -> list[int]:
    pid = pid_file.read_text().split("\n", 1)[0].strip()
    said = subprocess.run(["ps", "-o", "comm=", "-p", pid], capture_output=True, text=True, check=False)
    return [int(pid)] if "postgres" in said.stdout else []


def _works_in(entry: Path, data: Path) -> bool:
    try:
        return (entry / "cwd").readlink() == data.resolve()
    except OSError:  # ended, or another user's
        return False


def _is_zombie(entry: Path) -> bool:
    try:
        return (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
