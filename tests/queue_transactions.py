"""Sending and taking in the model test, in transactions that stay open while others go on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from queues import floors, memory, services
from queues.errors import QueueFull
from queues.services import NewMessage, sending
from tests.queue_model import Item, Kind, Model, Open

DELAY_SECONDS = 9_000.0
OWNER = "sales"

Remembered = tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any]]


def look_from_the_bottom() -> None:
    """At the next receive, as every process does each second."""
    for known in floors._known.values():
        known.rescan_at = 0.0


def swap_memory(other: Remembered) -> None:
    """Go on as another process, or as one that has not looked for long."""
    memories: Remembered = (floors._known, memory._queues, sending._rooms)
    for now, kept in zip(memories, other, strict=True):
        before = dict(now)
        now.clear()
        now.update(kept)
        kept.clear()
        kept.update(before)


class Transactions:
    model: Model
    queues: list[Kind]
    tokens: list[tuple[Any, str, list[int]]]
    other_process: Remembered
    pool: ThreadPoolExecutor

    def do(self, called: tuple[Any, ...]) -> None:
        getattr(self, called[0])(*called[1:])

    def check(self) -> None:
        raise NotImplementedError

    def _create(self, name: str, is_ordered: bool) -> Kind:
        queue = services.create_queue(name, owner=OWNER, is_ordered=is_ordered, max_receives=3, backoff_seconds=0)
        kind = self.model.kinds[queue.id] = Kind(queue.id, name, is_ordered)
        return kind

    # Transactions

    def send(self, which: int, batch: list[NewMessage]) -> None:
        kind = self.queues[which]
        sent = self._send(kind, batch, None)
        self.model.place(sent)

    def _send(self, kind: Kind, batch: list[NewMessage], within: Open | None) -> list[Item]:
        """Answers what is new."""
        if kind.is_ordered:
            batch = [m._replace(priority=0, delay_seconds=0, group_key=m.group_key or "x") for m in batch]
        standing = self.model.length(kind.id) + len([i for i in within.sent if i.queue == kind.id] if within else [])
        if kind.max_length is not None and standing + len(batch) > kind.max_length:
            with pytest.raises(QueueFull):
                services.send_many(kind.name, batch)
            return []
        answered = services.send_many(kind.name, batch)
        items, duplicates = self.model.answer(kind, batch, [sent.id for sent in answered], within)
        assert [(sent.id, sent.duplicate) for sent in answered] == list(
            zip([item.id for item in items], duplicates, strict=True)
        )
        fresh = [item for item, duplicate in zip(items, duplicates, strict=True) if not duplicate]
        ids = [item.id for item in fresh]
        assert ids == sorted(set(ids))
        assert all(id_ > self.model.last for id_ in ids)
        return fresh

    def transact(self, doings: list[tuple[Any, ...]], undone: bool) -> None:
        opened = Open()
        try:
            with transaction.atomic():
                for doing in doings:
                    self._do_within(opened, *doing)
                if undone:
                    raise KeyError
        except KeyError:
            opened.sent, opened.ends = [], []
        self._end(opened)

    def hold(
        self, doings: list[tuple[Any, ...]], between: list[tuple[Any, ...]], more: list[tuple[Any, ...]], undone: bool
    ) -> None:
        """In a transaction of another connection that stays open while others go on."""
        opened, atomic = Open(), transaction.atomic()
        self._elsewhere(atomic.__enter__)  # its connection is the thread's
        try:
            for doing in doings:
                self._elsewhere(partial(self._do_within, opened, *doing))
            for called in between:
                self.do(called)
                self.check()
            for doing in more:
                self._elsewhere(partial(self._do_within, opened, *doing))
        finally:
            failure = (KeyError, KeyError(), None) if undone else (None, None, None)
            self._elsewhere(partial(atomic.__exit__, *failure))
        if undone:
            opened.sent, opened.ends = [], []
        self._end(opened)
        look_from_the_bottom()  # what it gave back stands below what others took meanwhile

    def meet(
        self, which: int, first: list[NewMessage], theirs: list[NewMessage], second: list[NewMessage], undone: bool
    ) -> None:
        """Another sends the same ids while a transaction that sends them is open."""
        self.do(("forget_ids", which, False))
        batches = [[m._replace(dedup_id=m.dedup_id or "a") for m in batch] for batch in (first, theirs, second)]
        sends: list[tuple[Any, ...]] = [("send", which, batch, "kept") for batch in batches]
        self.hold(sends[:1], [sends[1][:3]], sends[2:], undone)

    def _elsewhere(self, work: Callable[[], object]) -> None:
        self.pool.submit(work).result(timeout=10)

    def _do_within(self, opened: Open, act: str, which: int, *rest: Any) -> None:
        kind = self.queues[which]
        if act == "take":
            if not opened.has_acted:  # the model does not know what a transaction sees of itself
                self._take(opened, kind, *rest)
            opened.has_acted = True
            return
        batch, manner = rest
        if opened.taken and kind.max_length is not None:
            return
        opened.has_acted = True
        try:
            with transaction.atomic():
                fresh = self._send(kind, batch, opened)
                if manner == "undone":
                    raise KeyError
        except KeyError:
            return
        opened.sent += fresh

    def _take(self, opened: Open, kind: Kind, most: int, fates: list[str]) -> None:
        taken = services.take(kind.name, max_messages=most, boundary=OWNER)
        assert [m.id for m in taken] == self.model.pick(kind, most, 1)
        opened.taken |= {item.id for item in self.model.ready(kind, most)}
        self.model.locked |= opened.taken
        left = []
        for n, message in enumerate(taken):
            item, above = self.model.items[message.id], self.model.last
            assert message.receives == item.receives + 1
            fate = fates[n % len(fates)]
            if fate == "ack":
                services.ack_taken([message])
                opened.ends.append(partial(self.model.remove, [item], "acked", charge=1))
            elif fate == "leave":
                left.append(message)
            else:
                delay = {"nack": None, "later": DELAY_SECONDS, "reject": None}[fate]
                why = "rejected" if fate == "reject" else "retry"
                if fate == "reject":
                    services.reject_taken(message, error="bad")
                else:
                    services.nack_taken(message, delay_seconds=delay, error="bad")
                opened.ends.append(partial(self.model.fail, item, why, delay=delay, charge=1, error="bad", above=above))
        services.let_go(left)

    def _end(self, opened: Open) -> None:
        self.model.locked -= opened.taken
        for end in opened.ends:
            end()
        self.model.place(opened.sent)
