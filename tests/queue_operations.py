"""What holders of leases, dying workers and the clock do to queues in the model test."""

from contextlib import nullcontext
from typing import Any

from django.db import transaction

from mqsite.models import WorkerProcess
from queues import services
from queues.models import Dedup, Handling, Lease, Message
from tests.queue_model import OPEN, READY, SCHEDULED, Held, Item
from tests.queue_transactions import DELAY_SECONDS, OWNER, Transactions, look_from_the_bottom

LONG_AGO = "2000-01-01T00:00Z"


class Operations(Transactions):
    # Leases

    def receive(self, which: int, most: int, holder: str, undone: bool) -> None:
        kind = self.queues[which]
        wanted = self.model.pick(kind, most, kind.max_receives - 1)
        try:
            with transaction.atomic() if undone else nullcontext():
                lease = services.receive(kind.name, holder=holder, max_messages=most, boundary=OWNER)
                if undone:
                    raise KeyError
        except KeyError:
            return
        assert [m.id for m in lease.messages] == wanted if lease else wanted == []
        if lease is not None:
            for message in lease.messages:
                item = self.model.items[message.id]
                assert (message.receives, message.payload) == (item.receives + 1, item.payload)
                assert (message.group_key, message.lease) == (item.key, lease.token)
            self.model.lease(kind, lease.token, holder, wanted)
            self.tokens.append((lease.token, kind.name, wanted))

    def receive_and_act(self, which: int, most: int, holder: str, act: str, share: int) -> None:
        before = len(self.tokens)
        self.receive(which, most, holder, False)
        if len(self.tokens) > before:
            self.act(0, act, share, False)

    def act(self, which: int, act: str, share: int, undone: bool) -> None:
        """With a lease that may be fresh, used up in part, or long lost: of its messages some, and one of nobody."""
        if not self.tokens:
            return
        token, name, ids = self.tokens[which % len(self.tokens)]
        ids = [*ids[share % 2 :: 1 + share % 3], 2**40] if share else ids
        covered = self.model.covered(token, ids)
        held = self.model.leases.get(token)
        if act == "extend" and held and held.is_over:
            covered = []
        lost = [i for i in ids if i not in {item.id for item in covered}]
        try:
            with transaction.atomic() if undone else nullcontext():
                answered = self._act(act, token, ids, name)
                assert answered == lost, act
                if undone:
                    raise KeyError
        except KeyError:
            if act == "give_back":
                look_from_the_bottom()
            return
        if act == "ack":
            self.model.remove(covered, "acked")
        for item in covered:
            if act == "give_back":
                self.model.give_back(item)
            elif act in {"nack", "later", "reject"}:
                delay = DELAY_SECONDS if act == "later" else None
                self.model.fail(item, "rejected" if act == "reject" else "retry", delay=delay, error="bad")

    def _act(self, act: str, token: Any, ids: list[int], queue: str) -> list[int] | None:
        if act in {"nack", "later"}:
            delay = DELAY_SECONDS if act == "later" else None
            return services.nack(token, ids, queue=queue, delay_seconds=delay, error="bad")
        if act == "reject":
            return services.reject(token, ids, queue=queue, error="bad")
        answered: list[int] | None = getattr(services, act)(token, ids, queue=queue)
        return answered

    def renew(self, holder: str) -> None:
        kept = [held for held in self._held() if held.holder == holder and not held.is_over]
        assert services.renew_leases(holder) == len(kept)

    def _held(self) -> list[Held]:
        """Leases of which something is left."""
        return [h for token, h in self.model.leases.items() if self.model.covered(token, h.ids)]

    def let_a_lease_expire(self, which: int) -> None:
        open_ = [t for t, h in self.model.leases.items() if self.model.covered(t, h.ids)]
        if open_:
            token = open_[which % len(open_)]
            Lease.objects.filter(id=token).update(expires_at=LONG_AGO)
            self.model.leases[token].is_over = True

    def reap(self, dead_holder: str | None) -> None:
        """What expired comes back, and what a process holds that is not heard of."""
        if dead_holder:
            WorkerProcess.objects.create(name=dead_holder, seen_at=LONG_AGO)
        ended = [t for t, h in self.model.leases.items() if h.is_over or h.holder == dead_holder]
        moved = [item for t in ended for item in self.model.covered(t, self.model.leases[t].ids)]
        assert services.reap() == len(moved)
        for item in moved:
            self.model.fail(item, "lease expired")
        WorkerProcess.objects.all().delete()

    # The clock

    def let_come_due(self, which: int, share: int) -> None:
        scheduled = [i for i in self._free(self.queues[which].id, SCHEDULED) if i.due is None][:: 1 + share]
        for item in scheduled:
            item.due = item.id % 7
            Message.objects.filter(id=item.id).update(due_at=f"2000-01-01T00:00:0{item.due}Z")

    def promote(self) -> None:
        due = sorted((i for i in self._free(None, SCHEDULED) if i.due is not None), key=lambda i: (i.due, i.id))
        assert services.promote() == len(due)
        for item in due:
            item.state, item.due = READY, None
            item.go_to_the_tail(self.model.last)
        for queue in self.model.kinds:
            self.model.in_order.append([i for i in due if i.queue == queue])

    def let_time_out(self, which: int, share: int) -> None:
        for item in self._free(self.queues[which].id)[:: 1 + share]:
            if item.ttl is not None:
                item.ttl = "over"
                Message.objects.filter(id=item.id).update(expires_at=LONG_AGO)

    def expire(self) -> None:
        over = [i for i in self._free(None, *OPEN) if i.ttl == "over"]
        assert services.expire() == len(over)
        for item in over:
            self.model.fail(item, "expired")

    def forget_ids(self, which: int, sweep: bool) -> None:
        """The time of the deduplication ids of a queue is over."""
        queue = self.queues[which].id
        Dedup.objects.filter(queue_id=queue).update(expires_at=LONG_AGO)
        for place in [p for p in self.model.ids if p[0] == queue]:
            self.model.ids[place] = (self.model.ids[place][0], True)
        if sweep:
            over = [p for p, (_, is_over) in self.model.ids.items() if is_over]
            assert services.forget_dedup() == len(over)
            for place in over:
                del self.model.ids[place]

    def _free(self, queue: int | None, *states: int) -> list[Item]:
        found = [i for k in self.model.kinds if queue in {None, k} for i in self.model.of(k, *states)]
        return [i for i in found if i.id not in self.model.locked]

    # A worker that dies in its transaction

    def die_with(self, which: int, most: int, worker: str) -> None:
        kind = self.queues[which]
        if worker in self.model.notes:
            return
        wanted = self.model.pick(kind, most, 1)
        noted = {(i, r) for note in self.model.notes.values() for i, r in note.items()}
        with transaction.atomic():
            taken = services.take(kind.name, max_messages=most, boundary=OWNER)
            assert [m.id for m in taken] == wanted
            chosen = services.begin_handling(taken) if taken else []
            transaction.set_rollback(True)
        fresh = [m.id for m in taken if (m.id, m.receives - 1) not in noted] or wanted[:1]
        assert [m.id for m in chosen] == fresh
        Handling.objects.exclude(id__in=self.model.notes).update(id=worker, worker=worker, seen_at=LONG_AGO)
        if taken:
            self.model.notes[worker] = {i: self.model.items[i].receives for i in fresh}

    def charge(self) -> None:
        charged = 0
        for worker in sorted(self.model.notes):
            noted = self.model.notes.pop(worker)
            as_noted = [self.model.items[i] for i, r in noted.items() if self._is_as_noted(i, r)]
            held = {i.id: i.receives for i in as_noted if i.id in self.model.locked}
            for item in as_noted:
                if item.id not in held:
                    self.model.fail(item, "worker died", charge=1)
                    charged += 1
            if held:
                self.model.notes[worker] = held
        assert services.charge() == charged

    def _is_as_noted(self, id_: int, receives: int) -> bool:
        item = self.model.items.get(id_)
        return item is not None and (item.state, item.receives) == (READY, receives)
