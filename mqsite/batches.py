"""What is published or sent at once, in columns."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from mqsite.errors import Invalid, PayloadTooLarge

MAX_BATCH = 10_000
MAX_BATCH_BYTES = 100 * 1024 * 1024  # PostgreSQL takes less than 1 GB at once


def read_columns(given: Iterable[Any], kind: Any, noun: str) -> tuple[Sequence[Any], ...]:
    """A column for each field of `kind`, a NamedTuple. What is none of that kind is a payload: its first field."""
    if isinstance(given, str | bytes | bytearray | memoryview | Mapping | kind) or not isinstance(given, Iterable):
        raise Invalid(reason=f"A batch is a list of {noun}s, not one {type(given).__name__}.")
    batch = list(islice(given, MAX_BATCH + 1))
    if len(batch) > MAX_BATCH:
        raise Invalid(reason=f"A batch has at most {MAX_BATCH:,} {noun}s; this one has more.")
    is_whole = {each: issubclass(each, kind) for each in set(map(type, batch))}
    if not any(is_whole.values()):
        return batch, *([kind._field_defaults[name]] * len(batch) for name in kind._fields[1:])
    if not all(is_whole.values()):
        batch = [each if is_whole[type(each)] else kind(each) for each in batch]
    return tuple(zip(*batch, strict=True))


def require_size(size: int, verb: str) -> None:
    if size > MAX_BATCH_BYTES:
        raise PayloadTooLarge(what="The batch", size=size, name=f"one {verb}", limit=MAX_BATCH_BYTES)
