"""What an application declares, by name: topics, groups, queues and handlers. Filled while apps start."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


#: Every registry there is, for the checks at start-up.
registries: list["Registry[Any, Any]"] = []


class Registry(Generic[K, V]):
    """Name to declaration. A second, different declaration of a name is kept as a clash for the checks."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.clashes: list[str] = []
        self._entries: dict[K, V] = {}
        registries.append(self)

    def add(self, key: K, value: V) -> V:
        present = self._entries.setdefault(key, value)
        if present != value:
            says = f"{present} and {value}" if str(present) != str(value) else f"{present!r} and {value!r}"
            self.clashes.append(f"{self.noun} {key} is declared twice, differently: {says}.")
        return value

    def discard(self, key: K) -> None:
        """For what was found, not declared: it may go again."""
        self._entries.pop(key, None)

    def get(self, key: K) -> V | None:
        return self._entries.get(key)

    def select(self, wanted: Callable[[K], bool]) -> dict[K, V]:
        return {key: value for key, value in self._entries.items() if wanted(key)}

    def __iter__(self) -> Iterator[V]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)


def list_differences(
    what: str, names: tuple[str, ...], wanted: tuple[Any, ...], stored: tuple[Any, ...] | None
) -> list[str]:
    """A sentence for each setting of `what` that differs between code and database."""
    if stored is None:
        return [f"{what} is declared in code and missing in the database. Run migrate."]
    return [
        f"{what}: {name} is {new} in code and {old} in the database."
        for name, new, old in zip(names, wanted, stored, strict=True)
        if new != old
    ]
