"""bin/up for real, in a copy of the project: it starts, refuses, stops, and comes back after any kill."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mqsite.stack import ports
from tests.house import PROJECT, answers_http
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # several starts in one test, on a machine that may be busy
]

START_SECONDS = 60
STOP_SECONDS = 30
NOT_COPIED = (".venv", ".mqsite", ".git", "__pycache__", ".*_cache", "staticfiles")


class Up:
    """One run of bin/up in a checkout."""

    def __init__(self, checkout: Path, *arguments: str, port: int, environment: dict[str, str] | None = None) -> None:
        self.checkout = checkout
        self.port = port
        self.output_file = checkout / "up.out"
        ours = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        with self.output_file.open("w") as output:
            self.process = subprocess.Popen(
                [*command(checkout), "--no-example", "--port", str(port), *arguments],
                cwd=checkout,
                env={name: value for name, value in ours.items() if not name.startswith("MQSITE_")}
                | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def wait_until_running(self) -> "Up":
        def running_or_ended() -> bool:
            assert self.process.poll() is None, self.output
            return "is running at" in self.output

        wait_until(running_or_ended, START_SECONDS, "bin/up says that it is running")
        return self

    def wait_until_says(self, text: str) -> None:
        wait_until(lambda: text in self.output, START_SECONDS, f"bin/up says {text!r}")

    def refusal(self) -> str:
        """What it says when it refuses to start."""
        assert self.process.wait(START_SECONDS) == 1, self.output
        assert "Traceback" not in self.output
        return self.output

    def noted(self) -> dict[str, str]:
        content: dict[str, str] = json.loads((self.checkout / ".mqsite" / "env.json").read_text())
        return content

    def child(self, part: str) -> int:
        """The pid of the child whose command line has this part."""
        said = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in said.stdout.splitlines()]
        found = [int(pid) for pid, parent, args in rows if int(parent) == self.process.pid and part in args]
        assert len(found) == 1, rows
        return found[0]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


def command(checkout: Path) -> list[str]:
    """bin/up itself where its .venv is the one that runs the tests; else what it ends in."""
    stamp = PROJECT / ".venv" / ".installed-requirements.txt"
    if stamp.exists() and stamp.read_text() == (checkout / "requirements.txt").read_text():
        return ["bin/up"]
    return [sys.executable, "-m", "mqsite.stack.up"]


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    # Not pytest's tmp_path: as root, PostgreSQL runs as nobody, who could not reach it.
    folder = Path(tempfile.mkdtemp(prefix="mqsite-up-")).resolve()
    folder.chmod(0o755)
    shutil.copytree(PROJECT, folder / "mqsite", ignore=shutil.ignore_patterns(*NOT_COPIED))
    (folder / "mqsite" / ".venv").symlink_to(PROJECT / ".venv")
    yield folder / "mqsite"
    shutil.rmtree(folder)


@pytest.fixture
def ups(checkout: Path) -> Iterator[list[Up]]:
    """Runs put in here are over when the test is."""
    runs: list[Up] = []
    yield runs
    for run in runs:
        if run.process.poll() is None:
            run.stop()
    wait_until(lambda: not processes_of(checkout), STOP_SECONDS, "no process is left behind")


def test_it_starts_refuses_a_second_run_and_stops_without_a_trace(checkout: Path, ups: list[Up]) -> None:
    up = Up(checkout, port=ports.find_free())
    ups.append(up)
    up.wait_until_running()
    with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/", timeout=10) as page:
        assert re.search(r"\b[12] workers?, slowest heartbeat", page.read().decode()), "no worker at the first look"
    assert "shown only this once" in up.output
    assert up.noted()["DATABASE_URL"]
    assert (checkout / ".mqsite" / "env.json").stat().st_mode & 0o777 == 0o600

    output = up.output
    second = Up(checkout, port=ports.find_free())
    assert "already running" in second.refusal()

    up.output_file.write_text(output)
    assert up.stop() == 0
    assert processes_of(checkout) == []
    assert "DATABASE_URL" not in up.noted()


def test_a_killed_parent_takes_everything_with_it_and_the_next_start_has_the_data(
    checkout: Path, ups: list[Up]
) -> None:
    up = Up(checkout, port=ports.find_free())
    ups.append(up)
    up.wait_until_running()
    write_row(up.noted()["DATABASE_URL"])
    up.kill()
    wait_until(lambda: not processes_of(checkout), STOP_SECONDS, "everything is gone")

    again = Up(checkout, port=up.port)
    ups.append(again)
    again.wait_until_running()
    assert read_rows(again.noted()["DATABASE_URL"]) == [(1,)]
    assert "shown only this once" not in again.output

    # Then its PostgreSQL dies, alone: it is started again where it was.
    os.kill(again.child("bin/postgres"), signal.SIGKILL)
    again.wait_until_says("PostgreSQL was restarted.")
    assert read_rows(again.noted()["DATABASE_URL"]) == [(1,)]

    # And the web server.
    os.kill(again.child("uvicorn"), signal.SIGKILL)
    again.wait_until_says("Web was restarted.")
    wait_until(lambda: answers_http(f"http://127.0.0.1:{again.port}/"), START_SECONDS, "the page answers again")

    # And PostgreSQL together with the parent, so that nobody shuts anything down.
    os.kill(again.child("bin/postgres"), signal.SIGKILL)
    again.kill()
    last = Up(checkout, port=up.port)
    ups.append(last)
    last.wait_until_running()
    assert read_rows(last.noted()["DATABASE_URL"]) == [(1,)]


def test_reset_stops_the_running_house_and_deletes_its_data(checkout: Path, ups: list[Up]) -> None:
    up = Up(checkout, port=ports.find_free())
    ups.append(up)
    up.wait_until_running()
    write_row(up.noted()["DATABASE_URL"])

    afresh = Up(checkout, "--reset", port=up.port)
    ups.append(afresh)
    afresh.wait_until_running()
    assert up.process.wait(STOP_SECONDS) == 0
    assert "Deleting all data" in afresh.output
    with pytest.raises(psycopg.errors.UndefinedTable):
        read_rows(afresh.noted()["DATABASE_URL"])


def test_a_port_in_use_is_named(checkout: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refusal = Up(checkout, port=port).refusal()
    assert f"Port {port} is in use" in refusal
    assert "--port" in refusal


def test_an_unreachable_database_is_named_without_its_password(checkout: Path) -> None:
    environment = {"DATABASE_URL": "postgresql://someone:s3cret@127.0.0.1:1/else"}
    refusal = Up(checkout, port=ports.find_free(), environment=environment).refusal()
    assert "DATABASE_URL (postgresql://127.0.0.1:1/else)" in refusal
    assert "s3cret" not in refusal


def test_data_of_another_major_version_is_refused(checkout: Path) -> None:
    version = checkout / ".mqsite" / "postgres" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("17\n")
    try:
        assert "is PostgreSQL 17's and this version runs 18" in Up(checkout, port=ports.find_free()).refusal()
    finally:
        version.write_text(ours)


def write_row(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def read_rows(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT n FROM kept").fetchall()


def processes_of(checkout: Path) -> list[str]:
    """Living processes that work in the checkout or were started from it."""
    said = subprocess.run(["ps", "-ww", "-eo", "pid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in said.stdout.splitlines()]
    return [
        args
        for pid, state, args in rows
        if not state.startswith("Z") and (str(checkout) in args or str(checkout) in working_folder(pid))
    ]


def working_folder(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""
