"""What operators do to queues in the model test."""

import pytest
from django.db import transaction

from queues import selectors, services, store
from queues.errors import QueueInUse
from queues.models import Redrive
from tests.queue_model import DEAD, OPEN, READY, SCHEDULED, WAITING, Job
from tests.queue_operations import Operations

BACKOFF_SECONDS = 9_000.0
MOST_LENGTH = 12

PURGED = {"ready": {READY, WAITING}, "scheduled": {SCHEDULED}, "dead": {DEAD}, "all": {*OPEN, DEAD}}


class Operators(Operations):
    def cancel(self, which: int, picks: list[int]) -> None:
        standing = sorted(self.model.items)
        if not standing:
            return
        kind = self.queues[which]
        ids = list(dict.fromkeys(standing[n % len(standing)] for n in picks))
        gone = [i for i in self._free(kind.id, *OPEN) if i.id in ids]
        assert set(services.cancel(kind.name, ids)) == {i.id for i in gone}
        self.model.remove(gone, "cancelled")

    def purge(self, which: int, state: str, most: int | None) -> None:
        kind = self.queues[which]
        gone = self._free(kind.id, *PURGED[state])
        if state == "dead":
            gone = sorted(gone, key=lambda i: i.place)[:most]
        else:
            most = None
        assert services.purge(kind.name, state=state, most=most, actor="ann") == len(gone)
        self.model.remove(gone, "cancelled")

    def pause(self, which: int, paused: bool) -> None:
        kind = self.queues[which]
        (services.pause_queue if paused else services.resume_queue)(kind.name, actor="ann")
        kind.is_paused = paused

    def alter_failures(self, which: int, max_receives: int, letters: bool, backoff: bool) -> None:
        kind, letters_kind = self.queues[which], self.queues[-1]
        if kind is not letters_kind:
            kind.letters = letters_kind.id if letters else None
        kind.max_receives, kind.backoff = max_receives, backoff
        services.alter_queue(
            kind.name,
            max_receives=max_receives,
            dead_letter_queue=letters_kind.name if kind.letters else None,
            backoff_seconds=BACKOFF_SECONDS if backoff else 0,
            backoff_max_seconds=BACKOFF_SECONDS,
            actor="ann",
        )

    def alter_limits(self, which: int, limited: bool, outcomes: bool) -> None:
        kind = self.queues[which]
        kind.max_length, kind.outcomes = MOST_LENGTH if limited else None, outcomes
        services.alter_queue(
            kind.name, max_length=kind.max_length, outcome_seconds=9_000 if outcomes else 0, actor="ann"
        )

    def delete_and_create_anew(self, which: int) -> None:
        kind = self.queues[which]
        if any(k.letters == kind.id for k in self.model.kinds.values()):
            with pytest.raises(QueueInUse):
                services.delete_queue(kind.name, actor="ann")
            return
        services.delete_queue(kind.name, actor="ann")
        self.model.forget(kind)
        self.queues[which] = self._create(kind.name, kind.is_ordered)

    # Redrives

    def redrive(self, which: int, most: int, picks: list[int]) -> None:
        kind = self.queues[which]
        dead = sorted(self.model.of(kind.id, DEAD), key=lambda i: i.place)
        ids = self._choose(picks)
        chosen = [i for i in dead if ids is None or i.id in ids][:most]
        moved = self.model.revive(chosen, None)
        assert services.redrive(kind.name, ids=ids, limit=most, actor="ann") == len(moved)

    def start_redrive(self, which: int, to: int | None, reason: str | None, picks: list[int]) -> None:
        kind, ids = self.queues[which], self._choose(picks)
        name, target = (None, None) if to is None else (self.queues[to].name, self.queues[to].id)
        id_ = services.start_redrive(kind.name, to=name, only_reason=reason, ids=ids, actor="ann")
        job = self.model.jobs[id_] = Job(kind.id, target, ids, reason, end=self.model.last)
        letters = Redrive.objects.get(id=id_).letters
        assert letters == (len(self.model.letters(job.queue)) if ids is None else len(ids))

    def step(self, which: int, most: int, killed: bool) -> None:
        """One step of a redrive; if killed, before it commits."""
        if not self.model.jobs:
            return
        id_ = sorted(self.model.jobs)[which % len(self.model.jobs)]
        if killed:
            with transaction.atomic():
                store.redrive_step(id_, limit=most, using="default")
                transaction.set_rollback(True)
            self.check()
        job = self.model.jobs[id_]
        moved, done = self.model.step(job, most)
        assert {m.id for m in store.redrive_step(id_, limit=most, using="default")} == {i.id for i in moved}
        told = selectors.describe_redrive(id_)
        assert (told["moved"], told["state"]) == (job.moved, "done" if done else "running")
        if done:
            del self.model.jobs[id_]

    def cancel_redrive(self, which: int) -> None:
        if self.model.jobs:
            id_ = sorted(self.model.jobs)[which % len(self.model.jobs)]
            assert services.cancel_redrive(id_, actor="ann")
            assert not services.cancel_redrive(id_, actor="ann")
            del self.model.jobs[id_]

    def _choose(self, picks: list[int]) -> list[int] | None:
        standing = sorted(self.model.items)
        return list(dict.fromkeys(standing[n % len(standing)] for n in picks)) if picks and standing else None
