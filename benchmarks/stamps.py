"""When something was sent and when its handler began, noted by processes of any kind into one file.

Only the standard library: peers write it, too. Times are the system's monotonic clock, one for all its processes.
"""

import contextlib
import functools
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "BENCHMARK_STAMPS"  # where the file is
PAIR = struct.Struct("dd")


def note(sent: float) -> None:
    """To be called by a handler, where only rates count with how many it was given. Some microseconds."""
    os.write(_open(), PAIR.pack(sent, time.monotonic()))


@functools.cache
def _open() -> int:
    return os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


class Stamps:
    def __init__(self, path: Path) -> None:
        self.path = path

    def clear(self) -> None:
        os.truncate(self.path, 0)

    def wait_for(self, count: int, seconds: float) -> list[tuple[float, float]]:
        """The pairs (sent, begun), in the order of their begin, once there are so many or the time is up."""
        deadline = time.monotonic() + seconds
        while self.path.stat().st_size < count * PAIR.size and time.monotonic() < deadline:
            time.sleep(0.05)
        return sorted(PAIR.iter_unpack(self.path.read_bytes()), key=lambda pair: pair[1])

    def wait_for_sum(self, count: int, seconds: float) -> list[tuple[float, float]]:
        """As `wait_for`, where each pair tells how many were handled at once."""
        deadline = time.monotonic() + seconds
        while True:
            pairs = self.wait_for(1, seconds)
            if sum(handled for handled, _ in pairs) >= count or time.monotonic() > deadline:
                return pairs
            time.sleep(0.1)


@contextlib.contextmanager
def open_stamps(name: str) -> Iterator[Stamps]:
    """For the processes that are started inside, and get our environment."""
    with tempfile.TemporaryDirectory(prefix="mqsite-stamps-") as folder:
        path = Path(folder) / name
        path.touch(0o600)
        kept = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(path)
        try:
            yield Stamps(path)
        finally:
            os.environ.pop(VARIABLE)
            if kept is not None:
                os.environ[VARIABLE] = kept
