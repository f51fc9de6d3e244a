"""The queue as plain Python: what the model test holds PostgreSQL to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

from queues.models import Message
from queues.services import NewMessage

READY, LEASED, SCHEDULED, WAITING, DEAD, STAGED = Message.State
STANDING = {READY, LEASED, SCHEDULED, WAITING}
HEADS = {READY, LEASED, SCHEDULED}
OPEN = {READY, SCHEDULED, WAITING}  # nobody holds them

_ranks = count()


@dataclass
class Item:
    """A message as its row must be. A position of None: a new one, behind all that were given before."""

    id: int
    queue: int
    payload: bytes
    state: int = READY
    key: str | None = None
    priority: int = 0
    ordered: bool = False
    dedup: str | None = None
    position: int | None = None
    receives: int = 0
    lease: UUID | None = None
    source: int | None = None
    died_receives: int | None = None
    reason: str | None = None
    detail: str | None = None
    ttl: str | None = None  # "long", or "over": not to be received any more
    due: int | None = None  # of a scheduled one whose time has come, in their order
    above: int = 0  # its new position is
    rank: int = field(default_factory=lambda: next(_ranks))

    @property
    def place(self) -> tuple[bool, int]:
        return (True, self.rank) if self.position is None else (False, self.position)

    def go_to_the_tail(self, above: int) -> None:
        self.position, self.above, self.rank = None, above, next(_ranks)

    def row(self) -> dict[str, Any]:
        """The columns to compare, apart from the position."""
        kept = {name: getattr(self, name) for name in ("state", "priority", "ordered", "receives", "payload")}
        told = {name: getattr(self, name) for name in ("died_receives", "reason", "detail", "ttl")}
        names = {"queue_id": self.queue, "group_key": self.key, "lease_id": self.lease, "source_id": self.source}
        return {**kept, **told, **names, "dedup_id": self.dedup}


@dataclass
class Kind:
    """A queue and its settings."""

    id: int
    name: str
    is_ordered: bool
    max_receives: int = 3
    letters: int | None = None
    max_length: int | None = None
    outcomes: bool = False
    backoff: bool = False
    is_paused: bool = False


@dataclass
class Held:
    queue: int
    holder: str
    ids: list[int]
    is_over: bool = False


@dataclass
class Job:
    queue: int
    target: int | None
    ids: list[int] | None
    reason: str | None
    end: int
    after: int = 0
    moved: int = 0


@dataclass
class Open:
    """What a transaction has done so far, to hold from its commit on."""

    sent: list[Item] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    ends: list[Callable[[], None]] = field(default_factory=list)
    has_acted: bool = False


class Model:
    def __init__(self) -> None:
        self.kinds: dict[int, Kind] = {}
        self.items: dict[int, Item] = {}
        self.leases: dict[UUID, Held] = {}
        self.ids: dict[tuple[int, str], tuple[int, bool]] = {}  # deduplication id to message, and whether it is over
        self.outcomes: list[tuple[int, int, str, int, str]] = []
        self.notes: dict[str, dict[int, int]] = {}  # dead worker to what it had in hand: id to receives
        self.jobs: dict[int, Job] = {}
        self.locked: set[int] = set()  # taken in a transaction that is open
        self.last = 0  # position given out
        self.in_order: list[list[Item]] = []  # of the new positions, those that ascend

    def of(self, queue: int, *states: int) -> list[Item]:
        found = [i for i in self.items.values() if i.queue == queue and i.state in (states or set(Message.State))]
        return sorted(found, key=lambda i: (-i.priority, i.place))

    def length(self, queue: int) -> int:
        return len(self.of(queue, *STANDING))

    # Sending

    def answer(
        self, kind: Kind, batch: Sequence[NewMessage], ids: Iterable[int], within: Open | None
    ) -> tuple[list[Item], list[bool]]:
        """The messages under their ids, those that are sent already under their first; and whether they are."""
        known = {id_: message for (queue, id_), (message, over) in self.ids.items() if queue == kind.id and not over}
        for item in within.sent if within else []:
            if item.dedup and item.queue == kind.id:
                known.setdefault(item.dedup, item.id)
        items, duplicates = [], []
        for message, id_ in zip(batch, ids, strict=True):
            duplicates.append(message.dedup_id in known)
            id_ = known.setdefault(message.dedup_id, id_) if message.dedup_id else id_
            items.append(
                Item(
                    id_,
                    kind.id,
                    message.payload,
                    key=message.group_key,
                    state=SCHEDULED if message.delay_seconds else READY,
                    priority=message.priority,
                    ordered=kind.is_ordered,
                    dedup=message.dedup_id,
                    ttl="long" if message.ttl_seconds else None,
                    position=None if kind.is_ordered else id_,
                )
            )
        return items, duplicates

    def place(self, items: Iterable[Item]) -> None:
        """They come to stand: with the commit, where there is a transaction."""
        touched = []
        for item in sorted(items, key=lambda i: i.id):
            if item.dedup:
                _, over = self.ids.get((item.queue, item.dedup), (item.id, True))
                if not over:
                    continue
                self.ids[item.queue, item.dedup] = (item.id, False)
            self.items[item.id] = item
            if item.ordered:
                item.state = WAITING
                item.go_to_the_tail(self.last)
                touched.append(item)
        self._settle(touched)

    def raise_heads(self, keys: Iterable[tuple[int, str | None]]) -> None:
        for queue, key in dict.fromkeys(keys):
            of_key = [i for i in self.of(queue, *STANDING) if i.ordered and i.key == key]
            waiting = sorted((i for i in of_key if i.state == WAITING), key=lambda i: i.place)
            if waiting and not any(i.state in HEADS for i in of_key):
                waiting[0].state = READY
                waiting[0].go_to_the_tail(self.last)

    def _settle(self, items: Sequence[Item]) -> None:
        """Those of a key in their order, then their heads."""
        self.raise_heads([(i.queue, i.key) for i in items if i.ordered])
        for place in dict.fromkeys((i.queue, i.key if i.ordered else None) for i in items):
            of_key = [i for i in items if (i.queue, i.key if i.ordered else None) == place]
            self.in_order.append([i for i in of_key if i.state == (WAITING if i.ordered else READY)])

    # Receiving

    def pick(self, kind: Kind, most: int, alone_from: int) -> list[int]:
        ready = self.ready(kind, most)
        for n, item in enumerate(ready):
            if item.receives >= alone_from:
                return [i.id for i in ready[: max(n, 1)]]
        return [i.id for i in ready]

    def ready(self, kind: Kind, most: int) -> list[Item]:
        if kind.is_paused:
            return []
        return [i for i in self.of(kind.id, READY) if i.ttl != "over" and i.id not in self.locked][:most]

    def lease(self, kind: Kind, token: UUID, holder: str, ids: list[int]) -> None:
        self.leases[token] = Held(kind.id, holder, ids)
        for id_ in ids:
            item = self.items[id_]
            item.state, item.lease = LEASED, token
            item.receives += 1

    def covered(self, token: UUID, ids: Iterable[int]) -> list[Item]:
        return [self.items[i] for i in ids if i in self.items and self.items[i].lease == token]

    # What becomes of them

    def remove(self, items: Iterable[Item], outcome: str, charge: int = 0) -> None:
        gone = list(items)
        for item in gone:
            if self.kinds[item.queue].outcomes and item.state != DEAD:
                self.outcomes.append((item.queue, item.id, outcome, item.receives + charge, ""))
            del self.items[item.id]
        self.raise_heads([(i.queue, i.key) for i in gone if i.ordered])

    def give_back(self, item: Item) -> None:
        item.state, item.lease = READY, None
        item.receives -= 1

    def fail(
        self,
        item: Item,
        why: str,
        *,
        delay: float | None = None,
        charge: int = 0,
        error: str = "",
        above: int | None = None,
    ) -> None:
        """It comes back, after a delay or the back-off (None), or dies of it; `why` rejected or expired: at once."""
        kind = self.kinds[item.queue]
        item.receives += charge
        at_once = why in {"rejected", "expired"}
        dead = at_once or item.receives >= kind.max_receives
        item.lease, item.due = None, None
        item.detail = error or (None if why == "retry" else item.detail)
        item.reason = "max_receives" if dead and why == "retry" else why
        item.go_to_the_tail(self.last if above is None else above)
        if not dead:
            item.state = SCHEDULED if (kind.backoff if delay is None else delay) else READY
            return
        self._die(item, kind, "expired" if why == "expired" else "died")

    def _die(self, item: Item, kind: Kind, outcome: str) -> None:
        if kind.outcomes:
            self.outcomes.append((kind.id, item.id, outcome, item.receives, item.reason or ""))
        item.state, item.died_receives, item.ttl = DEAD, item.receives, None
        key, ordered = item.key, item.ordered
        if kind.letters is not None:
            item.state, item.queue, item.source = READY, kind.letters, kind.id
            item.receives, item.ordered = 0, False
        if ordered:
            self.raise_heads([(kind.id, key)])

    def revive(self, items: Iterable[Item], target: int | None) -> list[Item]:
        """Dead letters start over; those that have nowhere to go stay."""
        moved = []
        for item in sorted(items, key=lambda i: i.place):
            home = item.source or item.queue
            to = self.kinds.get(target or home)
            if to is None or (to.is_ordered and item.key is None):
                continue
            item.queue, item.ordered, item.state = to.id, to.is_ordered, WAITING if to.is_ordered else READY
            item.go_to_the_tail(self.last)
            if to.is_ordered:
                item.priority = 0
                item.position = item.id if to.id == home else None
            item.receives, item.source, item.died_receives, item.ttl = 0, None, None, None
            item.reason = item.detail = None
            moved.append(item)
        self._settle(moved)
        return moved

    def letters(self, queue: int) -> list[Item]:
        found = [i for i in self.of(queue, DEAD, READY) if i.state == DEAD or i.source]
        return sorted(found, key=lambda i: i.place)

    def step(self, job: Job, most: int) -> tuple[list[Item], bool]:
        """What one step of a redrive moves, and whether the job is done."""
        found = [i for i in self.letters(job.queue) if job.after < (i.position or 0) <= job.end]
        found = found[:most] if job.ids is None else [i for i in found if i.id in job.ids]
        free = [i for i in found if i.id not in self.locked]
        if not free:
            return [], job.ids is not None or not found
        fitting = [i for i in free if job.reason in {None, i.reason}]
        chosen, last = fitting[:most], free[-1]
        if len(fitting) > most:
            last = free[free.index(fitting[most]) - 1]
        job.after = last.position or 0
        moved = self.revive(chosen, job.target)
        job.moved += len(moved)
        return moved, False

    def forget(self, kind: Kind) -> None:
        """The queue is deleted."""
        self.items = {i: item for i, item in self.items.items() if item.queue != kind.id}
        self.leases = {t: held for t, held in self.leases.items() if held.queue != kind.id}
        self.ids = {k: v for k, v in self.ids.items() if k[0] != kind.id}
        self.outcomes = [o for o in self.outcomes if o[0] != kind.id]
        self.jobs = {n: job for n, job in self.jobs.items() if kind.id not in {job.queue, job.target}}
        del self.kinds[kind.id]
