"""Ends the children when their parent is gone, however it went.

Run as a script by `processes.py`, with the standard library only. Its standard input
is a pipe whose other end only the parent holds, so end of file means: the parent died.
Lines: `+ PID SIGNAL` (a child and leader of its process group was started), `- PID`, and
`temporary PATH` (a folder to delete once they are gone).
"""

import contextlib
import os
import shutil
import signal
import sys
import time

GRACE_SECONDS = 8.0


def main() -> None:
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)  # whoever stops the parent must not stop its watchdog first
    children, folders = follow_parent()
    end(children)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def follow_parent() -> tuple[dict[int, int], list[str]]:
    """Reads until the parent is gone; returns the children it left, with the signal that stops each."""
    children: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        match line.rstrip("\n").split(" ", 2):
            case ["+", pid, sig]:
                children[int(pid)] = int(sig)
            case ["-", pid]:
                children.pop(int(pid), None)
            case ["temporary", *path]:
                folders.append(" ".join(path))
    return children, folders


def end(children: dict[int, int]) -> None:
    for pid, sig in children.items():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, sig)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(is_alive(pid) for pid in children):
        time.sleep(0.05)
    for pid in children:
        # The whole group: a worker that was killed leaves its own children in it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
