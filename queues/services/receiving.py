"""The one consuming boundary receives, and says what became of each message."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

from mqsite.announce import after_commit, announce
from mqsite.errors import Invalid
from mqsite.payloads import end_of_text
from mqsite.sql import in_transaction
from queues import floors, memory, rows, selectors, signals, store
from queues.declarations import Queue
from queues.errors import ConsumerNotOwner, LeaseLost, QueueAltered
from queues.services.moves import announce_moved, lower_floors
from queues.services.sending import MAX_DELAY_SECONDS, require_seconds
from queues.services.waiting import MAX_WAIT_SECONDS, wait_for_message
from queues.settings import MOST_LEASE_SECONDS

T = TypeVar("T")

MAX_RECEIVE_MESSAGES = 1_000
MAX_RECEIVE_BYTES = 50 * 1024 * 1024
MAX_SCANS = 3  # others may have taken what a look from the bottom saw
MAX_HOLDER_CHARACTERS = 249
MAX_ERROR_CHARACTERS = 10_000
LEAST_LEASE_SECONDS = 0.001


def receive(
    queue: Queue | str,
    *,
    holder: str,
    max_messages: int = 10,
    max_bytes: int | None = None,
    lease_seconds: float | None = None,
    wait_seconds: float = 0.0,
    boundary: str | None = None,
    using: str = "default",
) -> rows.Lease | None:
    """Lease up to `max_messages`, as the boundary of the declared queue (or `boundary`); None if none is ready.

    `max_bytes`: of payloads and headers together, where it is more than one message. Until the lease expires nobody
    else gets them. Each receive is counted. With `wait_seconds` it waits for a first message that long; a paused
    queue has none.
    """
    if not 1 <= max_messages <= MAX_RECEIVE_MESSAGES:
        raise Invalid(reason=f"max_messages is {max_messages}; allowed are 1 to {MAX_RECEIVE_MESSAGES:,}.")
    if not 1 <= len(holder) <= MAX_HOLDER_CHARACTERS:
        raise Invalid(reason=f"holder has {len(holder)} characters; allowed are 1 to {MAX_HOLDER_CHARACTERS}.")
    if max_bytes is not None and not 1 <= max_bytes <= MAX_RECEIVE_BYTES:
        raise Invalid(reason=f"max_bytes is {max_bytes}; allowed are 1 to {MAX_RECEIVE_BYTES:,}, or None.")
    require_seconds("wait_seconds", wait_seconds, least=0.0, most=MAX_WAIT_SECONDS)
    if wait_seconds and in_transaction(using):
        raise Invalid(reason="Inside a transaction nobody waits for messages: it would stay open meanwhile.")
    name = str(queue)
    acting = queue.owner if isinstance(queue, Queue) else boundary
    seconds = None if lease_seconds is None else _require_lease_seconds(lease_seconds)
    ask = partial(_receive, name, acting, max_messages, max_bytes, holder, seconds, using)
    deadline = time.monotonic() + wait_seconds
    while True:
        lease = memory.use_queue(name, ask, using=using)
        left = deadline - time.monotonic()
        if lease is not None or left <= 0:
            return lease
        wait_for_message(selectors.locate_queue(name, using=using).queue_id, seconds=left, using=using)


def _receive(
    name: str,
    acting: str | None,
    most: int,
    most_bytes: int | None,
    holder: str,
    seconds: float | None,
    using: str,
    located: rows.Located,
) -> rows.Lease | None:
    if acting != located.owner:
        raise ConsumerNotOwner(owner=located.owner, verb="handles", name=name, boundary=acting or "nobody")
    wanted = located.lease_seconds if seconds is None else seconds

    def scan(ranges: rows.Ranges) -> rows.Lease | None:
        return store.receive(
            name, located, ranges, most=most, most_bytes=most_bytes, holder=holder, seconds=wanted, using=using
        )

    lease = take_along_floors(located, scan, lambda lease: lease.messages, using=using)
    if lease is None:
        return None
    named = [rows.Named(m.id, m.group_key) for m in lease.messages]
    announce(signals.messages_received, queue=name, messages=named, full=len(named) == most, using=using)
    return lease


def take_along_floors(
    located: rows.Located,
    scan: Callable[[rows.Ranges], T | None],
    list_taken: Callable[[T], Iterable[rows.Message]],
    *,
    using: str,
) -> T | None:
    """What the scan finds, begun at the floors. It is called empty only after a look from the bottom."""
    queue_id, revision = located.queue_id, located.revision
    if located.is_paused:
        if not store.unchanged(located, using=using):
            raise QueueAltered
        return None
    if floors.is_rescan_due(queue_id, using=using):
        floors.rescan(queue_id, revision=revision, using=using)
    for _ in range(MAX_SCANS):
        ranges = floors.read(queue_id, using=using)
        taken = scan(ranges)
        if taken is not None:
            places = [(message.priority, message.position) for message in list_taken(taken)]
            # With the commit: what a rollback gives back stands below.
            after_commit(partial(floors.raise_to, queue_id, places, since=ranges, using=using), using=using)
            return taken
        # Where nothing was found, that may be because the queue is another than remembered.
        if not floors.rescan(queue_id, revision=revision, using=using):
            break
    return None


def ack(token: UUID, ids: Sequence[int], *, queue: Queue | str, using: str = "default") -> list[int]:
    """Acknowledge: the messages are gone. The ids whose lease was lost, for which nothing changed."""
    return _ack(token, _require_ids(ids), str(queue), using)


def ack_handled(message: rows.Message, *, using: str = "default") -> None:
    """Acknowledge as the LAST statement of a handler's transaction; LeaseLost rolls that back."""
    if message.lease is None or _ack(message.lease, [message.id], message.queue, using):
        raise LeaseLost(lost=[message.id], queue=message.queue)


def nack(
    token: UUID,
    ids: Sequence[int],
    *,
    queue: Queue | str,
    delay_seconds: float | None = None,
    max_receives: int | None = None,
    error: str = "",
    using: str = "default",
) -> list[int]:
    """Give back to be received again after a delay (None: the queue's back-off, 0: at once), or to the dead letters
    after too many receives: `max_receives`, None: the queue's.

    Answers the ids whose lease was lost, for which nothing changed.
    """
    delay = math.nan
    if delay_seconds is not None:
        delay = require_seconds("delay_seconds", delay_seconds, least=0.0, most=MAX_DELAY_SECONDS)
    return _nack(token, _require_ids(ids), delay, error, str(queue), using, most=max_receives)


def reject(
    token: UUID, ids: Sequence[int], *, queue: Queue | str, error: str = "", using: str = "default"
) -> list[int]:
    """Send to the dead letters at once. Answers the lost ids, as nack does."""
    return _nack(token, _require_ids(ids), None, error, str(queue), using)


def extend(
    token: UUID,
    ids: Sequence[int],
    *,
    queue: Queue | str,
    lease_seconds: float | None = None,
    using: str = "default",
) -> list[int]:
    """Let the whole lease last `lease_seconds` (or the queue's) from now. Answers the lost ids."""
    wanted = _require_ids(ids)
    seconds = None if lease_seconds is None else _require_lease_seconds(lease_seconds)
    covered = store.extend(token, wanted, seconds=seconds, queue=str(queue), using=using)
    return _missing(wanted, covered)


def extend_handled(message: rows.Message, *, lease_seconds: float | None = None, using: str = "default") -> None:
    """Let the lease of a message that is being handled last `lease_seconds` (or the queue's) from now; LeaseLost.

    A worker's leases last as long as its heartbeat without this. In transaction mode there is no lease and nothing
    to extend.
    """
    if message.lease is None:
        return
    if extend(message.lease, [message.id], queue=message.queue, lease_seconds=lease_seconds, using=using):
        raise LeaseLost(lost=[message.id], queue=message.queue)


def give_back(token: UUID, ids: Sequence[int], *, queue: Queue | str, using: str = "default") -> list[int]:
    """Put back in its place, uncharged, what nobody began to handle. Answers the lost ids, as nack does."""
    wanted = _require_ids(ids)
    moved = store.give_back(token, wanted, queue=str(queue), using=using)
    if moved:
        queue_id = memory.use_queue(str(queue), lambda located: located.queue_id, using=using)
        lower_floors(queue_id, [(m.priority, m.position) for m in moved if m.position is not None], using=using)
    announce_moved(moved, using=using)
    return _missing(wanted, [m.id for m in moved])


def renew_leases(
    holder: str,
    *,
    tokens: Sequence[UUID] | None = None,
    lease_seconds: float | None = None,
    using: str = "default",
) -> int:
    """Keep what the holder works on (all its leases, or those of `tokens`) for `lease_seconds`, or the queue's, from
    now; how many leases that is."""
    return store.renew(holder, tokens=tokens, seconds=lease_seconds, using=using)


def _ack(token: UUID, ids: list[int], queue: str, using: str) -> list[int]:
    acked = store.ack(token, ids, queue=queue, using=using)
    if acked:
        announce(signals.messages_acked, queue=queue, messages=acked, using=using)
    return _missing(ids, [m.id for m in acked])


def _nack(
    token: UUID,
    ids: list[int],
    delay: float | None,
    error: str,
    queue: str,
    using: str,
    *,
    most: int | None = None,
) -> list[int]:
    said = end_of_text(error, MAX_ERROR_CHARACTERS)
    delays, errors = [delay] * len(ids), [said] * len(ids)
    moved = store.nack(token, ids, delays=delays, errors=errors, most=most, queue=queue, using=using)
    announce_moved(moved, using=using)
    return _missing(ids, [m.id for m in moved])


def _missing(ids: list[int], found: list[int]) -> list[int]:
    known = set(found)
    return [id_ for id_ in ids if id_ not in known]


def _require_ids(ids: Sequence[int]) -> list[int]:
    """Each once, in order."""
    if not 1 <= len(ids) <= MAX_RECEIVE_MESSAGES:
        raise Invalid(reason=f"There are {len(ids)} ids; allowed are 1 to {MAX_RECEIVE_MESSAGES:,}.")
    return list(dict.fromkeys(ids))


def _require_lease_seconds(seconds: float) -> float:
    return require_seconds("lease_seconds", seconds, least=LEAST_LEASE_SECONDS, most=MOST_LEASE_SECONDS)
