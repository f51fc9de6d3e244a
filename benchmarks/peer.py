"""Our side of the talk with a peer, and the environment it runs in, made when the first case needs it."""

import contextlib
import functools
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import stamps
from benchmarks.house import PROJECT, NotHere
from mqsite.stack import processes
from mqsite.stack.errors import StackError

ENVIRONMENT = PROJECT / ".venv-benchmarks"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / ".installed"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
IMPORTED = {
    "pgqueuer": ("pgqueuer", "asyncpg", "uvloop"),
    "procrastinate": ("procrastinate", "psycopg_pool"),
    "celery": ("celery", "redis"),
}
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", stamps.VARIABLE)
ANSWER_SECONDS = 300


class Peer:
    """One process. It ends when its input does, so also with us."""

    def __init__(self, name: str, log: Path) -> None:
        self.name, self.log = name, log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [PYTHON, "-m", f"benchmarks.peers.{name}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=make_environment(),
                cwd=PROJECT,
                start_new_session=True,  # Ctrl-C reaches only us
            )

    def ask(self, what: str, **arguments: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        line = b""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
            self.process.stdin.flush()
            if select.select([self.process.stdout], [], [], ANSWER_SECONDS)[0]:
                line = self.process.stdout.readline()
        if not line:
            said = "\n".join(processes.last_lines(self.log))
            raise StackError(f"{self.name} does not answer to {what!r}. Its last lines:\n{said}")
        answer = json.loads(line)
        if "error" in answer:
            raise StackError(f"{self.name} failed on {what!r}:\n{answer['error']}")
        return answer["answer"]

    def close(self) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def run_peer(name: str) -> Iterator[Peer]:
    require(name)
    folder = processes.make_temporary_folder("mqsite-peer-")
    peer = Peer(name, folder / "peer.log")
    try:
        yield peer
    finally:
        peer.close()
        shutil.rmtree(folder, ignore_errors=True)


def make_environment() -> dict[str, str]:
    """Nothing of Django's: Celery would look for it. The same PostgreSQL, and another database of the same Valkey."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {
        "PYTHONPATH": str(PROJECT),
        "PEER_DATABASE_URL": os.environ["DATABASE_URL"],
        "PEER_BROKER_URL": os.environ["REDIS_URL"].rpartition("/")[0] + "/1",
    }


def require(name: str) -> None:
    """Installed, or the case is reported as not measured."""
    problem = install()
    check = "import " + ", ".join(IMPORTED[name])
    code, output = 1, problem
    if PYTHON.exists():
        code, output = processes.run([str(PYTHON), "-c", check], env=make_environment(), cwd=Path("/"))
    if code:
        raise NotHere(f"{name} could not be installed: {_last_line(problem or output)}")


@functools.cache
def install() -> str:
    """requirements.txt as a whole, or what can be had of it line by line; what pip said last if it failed."""
    wanted = f"{sys.version}\n{REQUIREMENTS.read_text()}"
    if STAMP.exists() and STAMP.read_text() == wanted:
        return ""
    print(f"Installing {REQUIREMENTS.relative_to(PROJECT)} into {ENVIRONMENT.name}.", file=sys.stderr)
    code, output = processes.run(
        [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], env=os.environ, cwd=PROJECT
    )
    if code:
        return output
    problem = _run_pip("-r", str(REQUIREMENTS))
    if not problem:
        STAMP.write_text(wanted)
        return ""
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines())
    for line in filter(None, lines):
        _run_pip(line)
    return problem


def _run_pip(*what: str) -> str:
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *what]
    code, output = processes.run(command, env=os.environ, cwd=PROJECT)
    return output or "pip failed" if code else ""


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it cannot be imported"
