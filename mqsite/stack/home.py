"""The house's own folder, `.mqsite/`: its lock, its secrets, and what other terminals may know."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from mqsite.stack import processes
from mqsite.stack.errors import StackError
from mqsite.stack.watchdog import is_alive

TAKE_OVER_SECONDS = 90
LEFTOVER_SECONDS = 20
ENOUGH_BYTES = 200 * 1024 * 1024
# Noted in env.json only while the house runs.
RUNNING_ONLY = {"DATABASE_URL", "REDIS_URL", "MQSITE_OPEN_OVERVIEW"}


class Home:
    """Opened by one `bin/up` at a time; only its user reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"

    def open(self, *, take_over: bool = False) -> None:
        """Locks the folder for as long as this process or a child of it lives.

        take_over stops the house that runs in it; without, that one keeps the folder.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        # As root, PostgreSQL runs as nobody and has to pass through; it cannot list or read.
        self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self.subfolder("logs")
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not self._try_lock(lock):
            self._wait_for(lock, take_over=take_over)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        processes.start_watchdog(hold=lock)
        self._refuse_full_disk()

    def log(self, name: str) -> Path:
        """An emptied file for what a child prints."""
        path = self.logs / f"{name.lower()}.log"
        write_private(path, "")
        return path

    def subfolder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def read_secret(self, name: str) -> str:
        """A secret that stays the same until the data is deleted; made at first use."""
        kept = self._read("secrets.json")
        if name not in kept:
            kept[name] = secrets.token_urlsafe(24)
            self._write("secrets.json", kept)
        return kept[name]

    def read_note(self, name: str) -> str | None:
        return self._read("notes.json").get(name)

    def write_note(self, name: str, value: str | None) -> None:
        """Small facts for the next start, such as the ports; None forgets one."""
        notes = self._read("notes.json")
        if value is None:
            notes.pop(name, None)
        else:
            notes[name] = value
        self._write("notes.json", notes)

    def write_environment(self, values: Mapping[str, str]) -> None:
        """Where mqsite/settings.py finds the running house from another terminal."""
        self._write("env.json", values)

    def clear_environment(self) -> None:
        kept = {name: value for name, value in self._read("env.json").items() if name not in RUNNING_ONLY}
        with contextlib.suppress(OSError):  # a full disk must not keep the house from stopping
            self._write("env.json", kept)

    def delete_data(self) -> None:
        """Everything but the lock, which is held."""
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        self.subfolder("logs")

    def _try_lock(self, lock: int) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait_for(self, lock: int, *, take_over: bool) -> None:
        """Of a house that was killed, the watchdog holds the lock a little longer."""
        holder = int(os.pread(lock, 20, 0) or 0)
        if holder and is_alive(holder):
            if not take_over:
                raise StackError(
                    f"This house is already running (process {holder} uses {self.folder}): stop that one first."
                )
            os.kill(holder, signal.SIGTERM)
        deadline = time.monotonic() + (TAKE_OVER_SECONDS if take_over else LEFTOVER_SECONDS)
        while not self._try_lock(lock):
            if time.monotonic() > deadline:
                raise StackError(f"What is left of the last run in {self.folder} does not end.")
            time.sleep(0.1)

    def _refuse_full_disk(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < ENOUGH_BYTES:
            raise StackError(
                f"Only {free // 1024**2} MB are free where {self.folder} is; mqsite needs {ENOUGH_BYTES // 1024**2} MB."
            )

    def _read(self, name: str) -> dict[str, str]:
        path = self.folder / name
        if not path.exists():
            return {}
        try:
            content: dict[str, str] = json.loads(path.read_text())
        except ValueError:
            raise StackError(f"{path} is damaged: repair it, or start afresh with bin/up --reset.") from None
        return content

    def _write(self, name: str, content: Mapping[str, str]) -> None:
        write_private(self.folder / name, json.dumps(content, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replaces the file in one step: a crash leaves the old or the new one, never half of it."""
    unfinished = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
