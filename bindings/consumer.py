"""The handler of a binding, and how the workers of this application come to have it."""

import hashlib
from dataclasses import dataclass
from functools import partial

from bindings import selectors, services
from bindings.models import Binding
from logs.declarations import Group
from logs.handlers import PARK, Reads, Subscription, subscriptions
from logs.rows import Record
from mqsite.handling import Options
from mqsite.retry import Retry, RetryIn
from queues import services as queues
from queues.errors import QueueNotFound
from queues.rows import Located
from queues.selectors import locate_queue
from queues.services import NewMessage

BATCH_RECORDS = 1_000
TYPE_HEADERS = ("ce_type", "type")
ORIGIN = "mq-origin"
GONE_SECONDS = 5.0  # between looks for a queue that is gone
MAX_KEY_CHARACTERS = 249

# What was taken up, by name: (the binding as it was, what it reads).
_taken_up: dict[str, tuple[tuple[str, ...], Reads]] = {}


@dataclass(frozen=True, slots=True)
class BoundGroup(Group):
    """Found in the database: the registry of what is declared does not know it."""

    def __post_init__(self) -> None:
        pass


def refresh() -> int:
    """Take up bindings that are new, drop those that are gone; how many there are. Part of the heartbeat."""
    standing = {row.name: row for row in selectors.bound()}
    for name in [name for name, (was, _) in _taken_up.items() if name not in standing or was != _shape(standing[name])]:
        _, reads = _taken_up.pop(name)
        subscriptions.discard(reads)
    for row in standing.values():
        if row.name not in _taken_up:
            _take_up(row)
    services.clear_removed()
    return len(standing)


def forward(binding: Binding, records: list[Record]) -> None:
    """Send what matches, in the transaction that commits the offset."""
    chosen = [record for record in records if matches(binding, record)]
    if not chosen:
        return
    try:
        located = locate_queue(binding.queue)  # as it is now: it may be another one of the same name
        if located.owner != binding.owner:
            raise RetryIn(GONE_SECONDS, f"{binding.queue} belongs to {located.owner} by now.")
        queues.send_many(binding.queue, [_make(record, located) for record in chosen], sender=binding.owner)
    except QueueNotFound as error:
        raise RetryIn(GONE_SECONDS, str(error)) from error


def matches(binding: Binding, record: Record) -> bool:
    if not binding.match_type and not binding.match_headers:
        return True
    headers = record.headers
    if binding.match_type and not any(name in TYPE_HEADERS and value == binding.match_type for name, value in headers):
        return False
    return all(wanted in headers for wanted in binding.match_headers.items())


def _make(record: Record, located: Located) -> NewMessage:
    """Its content as it was, and a header that says where it comes from."""
    place = f"{record.topic}-{record.partition}"
    key = _group_key(record.key)
    return NewMessage(
        payload=record.value,
        content_type=record.content_type,
        headers=[*record.headers, (ORIGIN, f"{place}@{record.offset}")],
        group_key=place if key is None and located.is_ordered else key,
    )


def _group_key(key: bytes | None) -> str | None:
    """The key as text; what is none, or too long for a group key, by its hash, so that equal keys stay equal."""
    if key is None:
        return None
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if len(text) <= MAX_KEY_CHARACTERS and "\0" not in text else hashlib.sha256(key).hexdigest()


def _take_up(row: Binding) -> None:
    reads = Reads(row.name, row.topic)
    group = BoundGroup(row.name, owner=row.owner)
    options = Options(batch=BATCH_RECORDS, retry=Retry())
    # What no queue can take is set aside; a queue that is full makes the others wait.
    subscriptions.add(reads, Subscription(group, row.topic, partial(forward, row), options, PARK))
    _taken_up[row.name] = (_shape(row), reads)


def _shape(row: Binding) -> tuple[str, ...]:
    return (row.topic, row.queue, row.owner, row.match_type, repr(sorted(row.match_headers.items())))
