"""What a process remembers of rows that seldom change. Nothing of it is trusted: statements refuse what is stale."""

from collections.abc import Callable
from typing import Any, TypeVar

from mqsite.errors import DiskFull, MessagingError, ReadCommittedRequired

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

MAX_REMEMBERED = 50_000
MAX_LOOKS = 10  # at what is altered all the time

_all: list["Remembered[Any, Any]"] = []


def forget_all() -> None:
    """For tests, which take back the rows that all of this is about."""
    for remembered in _all:
        remembered.clear()


class Remembered(dict[K, V]):
    """Bounded: when it is full it begins anew."""

    def __init__(self) -> None:
        super().__init__()
        _all.append(self)

    def remember(self, key: K, value: V) -> None:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        self[key] = value

    def use(
        self, key: K, work: Callable[[V], T], *, look: Callable[[], V], stale: tuple[type[MessagingError], ...]
    ) -> T:
        """`work` with what is remembered. A refusal may rest on what has changed: `look` and try again; likewise
        after a look, for the refusals in `stale`."""
        remembered = self.get(key)
        if remembered is not None:
            try:
                return work(remembered)
            except MessagingError as error:
                if isinstance(error, ReadCommittedRequired | DiskFull):
                    raise
        for _ in range(MAX_LOOKS - 1):
            try:
                return work(look())
            except stale:
                continue
        return work(look())
