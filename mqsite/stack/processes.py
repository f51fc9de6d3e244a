"""Child processes that never outlive their parent.

Each child leads its own session, so Ctrl-C in the terminal reaches only the parent,
which then stops its children in order. Should the parent die without doing so, the
kernel (Linux) tells each child and the watchdog (everywhere) ends their groups.
"""

import atexit
import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mqsite.stack import watchdog

PR_SET_PDEATHSIG = 1
LAST_LINES = 12
LAST_LINES_BYTES = 8192
RUN_SECONDS = 600

_watchdog: subprocess.Popen[bytes] | None = None


@dataclass(frozen=True)
class Account:
    """The user a child runs as, when that is not ours."""

    name: str
    uid: int
    gid: int


class Program:
    """A long-running child whose output goes to a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 10,
        account: Account | None = None,
    ) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.env = env
        self.cwd = cwd
        self.stop_signal = stop_signal
        self.stop_seconds = stop_seconds
        self.account = account
        self.process: subprocess.Popen[bytes] | None = None
        self.exit_code = 0
        self.was_asked = False

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    def start(self) -> None:
        self.was_asked = False
        with _open_private(self.log) as output:
            self.process = spawn(
                self.command,
                output=output,
                env=self.env,
                cwd=self.cwd,
                death_signal=self.stop_signal,
                account=self.account,
            )

    def ended(self) -> int | None:
        """The exit code once the child has ended; then nothing of its group is left either."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return None
            self._forget(code)
        return self.exit_code

    def ask_to_stop(self, sig: signal.Signals | None = None) -> None:
        """Only the leader is told: a prefork child that got the signal too would drop its work.

        And told once: Celery takes a second SIGTERM for impatience.
        """
        if self.process is not None and self.process.poll() is None and not self.was_asked:
            self.was_asked = True
            self.process.send_signal(sig or self.stop_signal)

    def stop(self, hurried: Callable[[], bool] = lambda: False) -> None:
        """Waits for the child to end and kills it when its time is up or the caller is in a hurry."""
        if self.process is None:
            return
        self.ask_to_stop()
        deadline = time.monotonic() + self.stop_seconds
        while self.process.poll() is None and time.monotonic() < deadline and not hurried():
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        if self.process is None:
            return
        kill_group(self.process.pid)
        self._forget(self.process.wait())

    def _forget(self, exit_code: int) -> None:
        assert self.process is not None
        release(self.process)
        self.process, self.exit_code = None, exit_code

    def last_lines(self, count: int = LAST_LINES) -> list[str]:
        return last_lines(self.log, count)


def start_watchdog(hold: int) -> None:
    """Starts it with a share in an open file, so that a lock on it lasts until all children are gone."""
    global _watchdog
    assert _watchdog is None, "the watchdog already runs"
    _watchdog = _spawn_watchdog([hold])


def make_temporary_folder(prefix: str) -> Path:
    """The caller deletes it; should we be killed, the watchdog does."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    _tell_watchdog(f"temporary {folder}")
    return folder


def spawn(
    command: Sequence[str],
    *,
    output: IO[bytes],
    env: Mapping[str, str],
    cwd: Path,
    death_signal: signal.Signals = signal.SIGTERM,
    account: Account | None = None,
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        preexec_fn=_death_watch(death_signal),
    )
    _tell_watchdog(f"+ {process.pid} {int(death_signal)}")
    return process


def run(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, account: Account | None = None
) -> tuple[int, str]:
    """Runs a child to its end; returns its exit code and output. It ends with us, too."""
    with tempfile.TemporaryFile() as output:
        process = spawn(command, output=output, env=env, cwd=cwd, account=account)
        try:
            code = process.wait(RUN_SECONDS)
        finally:
            kill_group(process.pid)
            process.wait()
            release(process)
        output.seek(0)
        return code, output.read().decode(errors="replace")


def release(process: subprocess.Popen[bytes]) -> None:
    """Forgets a child that has ended, after ending what it left of its group."""
    kill_group(process.pid)
    _tell_watchdog(f"- {process.pid}")


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def last_lines(log: Path, count: int = LAST_LINES) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_LINES_BYTES))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


def _open_private(log: Path) -> IO[bytes]:
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)


def _death_watch(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What the child runs before it becomes the program: after setuid, which would undo it.

    The kernel means the *thread* that forked when it says parent, so a child of a
    short-lived thread has only the watchdog.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    libc, parent = _libc(), os.getpid()

    def watch() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(1)

    return watch


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _spawn_watchdog(hold: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", watchdog.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        pass_fds=hold,
    )
    atexit.register(process.communicate)  # closes the pipe and waits: it ends what is left, if anything
    return process


def _tell_watchdog(line: str) -> None:
    global _watchdog
    _watchdog = _watchdog or _spawn_watchdog()
    assert _watchdog.stdin is not None
    # Without its watchdog a child still has the kernel's signal; no reason to fail here.
    with contextlib.suppress(OSError):
        _watchdog.stdin.write(f"{line}\n".encode())
        _watchdog.stdin.flush()
