"""The whole queue against a model of plain Python, in whatever order its services are called."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.db.models import Case, Value, When
from django.db.models.functions import Now
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mqsite import beside
from queues import selectors, services
from queues.models import Dedup, Handling, Lease, Message, Outcome, Queue, Redrive
from queues.services import NewMessage
from tests.models import look_long, look_shortly
from tests.queue_model import DEAD, HEADS, LEASED, READY, SCHEDULED, STAGED, WAITING, Item, Model
from tests.queue_operators import Operators
from tests.queue_transactions import DELAY_SECONDS, look_from_the_bottom, swap_memory

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = {"bookings": False, "orders": True, "letters": False}  # and whether it is ordered
TTL = Case(
    When(expires_at__isnull=True, then=Value(None)),
    When(expires_at__lt=Now(), then=Value("over")),
    default=Value("long"),
)

which = st.sampled_from([0, 0, 0, 1, 1, 1, 2])
numbers = st.integers(0, 20)
some = st.integers(1, 6)
flags = st.booleans()
seldom = st.sampled_from([False, False, False, True])
picks = st.lists(numbers, max_size=4)
batches = st.lists(
    st.builds(
        NewMessage,
        payload=st.binary(max_size=2),
        group_key=st.sampled_from([None, "x", "x", "y", "é"]),
        priority=st.sampled_from([0, 0, -100, 7]),
        delay_seconds=st.sampled_from([0.0, 0.0, 0.0, DELAY_SECONDS]),
        ttl_seconds=st.sampled_from([None, None, 9_000.0]),
        dedup_id=st.sampled_from([None, None, None, "a", "b", "ü"]),
        due_at=st.none(),
        headers=st.just(()),
        content_type=st.none(),
    ),
    min_size=1,
    max_size=4,
)
doings = st.lists(
    st.tuples(st.just("send"), which, batches, st.sampled_from(["kept", "kept", "undone"]))
    | st.tuples(
        st.just("take"),
        which,
        some,
        st.lists(st.sampled_from(["ack", "ack", "nack", "later", "reject", "leave"]), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=3,
)
holders = st.sampled_from(["ann", "bob"])
acts = st.sampled_from(["ack", "ack", "nack", "nack", "later", "later", "reject", "reject", "extend", "give_back"])


def call(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(name), *arguments)


# What may happen while a transaction that has sent and taken is open.
meanwhile = st.one_of(
    call("send", which, batches),
    call("send", which, batches),
    call("transact", doings, seldom),
    call("receive", which, some, holders, seldom),
    call("receive", which, some, holders, seldom),
    call("act", numbers, acts, numbers, seldom),
    call("receive_and_act", which, some, holders, acts, numbers),
    call("receive_and_act", which, some, holders, acts, numbers),
    call("forget_ids", which, flags),
    call("renew", holders),
    call("let_a_lease_expire", numbers),
    call("reap", st.none() | holders),
    call("let_come_due", which, st.integers(0, 2)),
    call("promote"),
    call("let_time_out", which, st.integers(0, 2)),
    call("expire"),
    call("die_with", which, some, st.sampled_from(["c", "d"])),
    call("charge"),
    call("cancel", which, picks.filter(bool)),
    call("redrive", which, some, picks),
    call("step", numbers, some, seldom),
)
calls = st.one_of(
    meanwhile,
    meanwhile,
    meanwhile,
    call("hold", doings, st.lists(meanwhile, max_size=4), doings, seldom),
    call("hold", doings, st.lists(meanwhile, max_size=4), doings, seldom),
    call("meet", which, batches, batches, batches, seldom),
    call("meet", which, batches, batches, batches, seldom),
    call("purge", which, st.sampled_from(["ready", "scheduled", "dead", "all"]), st.none() | some),
    call("pause", which, seldom),
    call("alter_failures", which, st.integers(1, 4), flags, flags),
    call("alter_limits", which, seldom, flags),
    call("start_redrive", which, st.none() | which, st.sampled_from([None, None, "rejected", "max_receives"]), picks),
    call("cancel_redrive", numbers),
    call("delete_and_create_anew", which),
    call("go_on_in_another_process"),
)


class QueueMachine(Operators, RuleBasedStateMachine):
    @initialize()
    def create(self) -> None:
        for table in (Redrive, Message, Lease, Dedup, Outcome, Handling):  # of an example that failed
            table.objects.all().delete()
        Queue.objects.update(dead_letter_queue=None)
        Queue.objects.all().delete()
        self.model, self.tokens = Model(), []
        self.queues = [self._create(name, is_ordered) for name, is_ordered in NAMES.items()]
        for n, kind in enumerate(self.queues[:2]):
            self.alter_failures(n, 3, letters=not kind.is_ordered, backoff=False)
            self.alter_limits(n, limited=False, outcomes=True)
        self.other_process = ({}, {}, {})
        self.pool = ThreadPoolExecutor(1)

    @rule(called=calls)
    def act_somehow(self, called: tuple[Any, ...]) -> None:
        self.do(called)

    def go_on_in_another_process(self) -> None:
        """Which has not looked since it was last in use."""
        swap_memory(self.other_process)
        look_from_the_bottom()

    @invariant()
    def check(self) -> None:
        if hasattr(self, "pool"):
            self._compare_messages()
            self._compare_leases()
            self._compare_the_rest()
            self._compare_depths()

    def _compare_messages(self) -> None:
        names = ("id", "position", "payload", *Item(0, 0, b"").row())
        found = Message.objects.exclude(state=STAGED).annotate(ttl=TTL).values(*dict.fromkeys(names))
        rows = {row.pop("id"): {**row, "payload": bytes(row["payload"])} for row in found}
        assert rows.keys() == self.model.items.keys()
        positions = {id_: row.pop("position") for id_, row in rows.items()}
        for id_, item in self.model.items.items():
            assert rows[id_] == item.row(), id_
            if item.position is None:
                assert positions[id_] > item.above, id_
                item.position = positions[id_]
            assert positions[id_] == item.position, id_
        for items in self.model.in_order:
            ranks = [item.position for item in sorted(items, key=lambda i: i.rank) if item.id in self.model.items]
            assert ranks == sorted(ranks), "what came together is not in its order"  # type: ignore[type-var]
        self.model.in_order = []
        self.model.last = max([self.model.last, *positions.values()])
        if not self.model.locked:
            assert not Message.objects.filter(state=STAGED).exists()

    def _compare_leases(self) -> None:
        held = {token: sorted(i.id for i in self.model.covered(token, h.ids)) for token, h in self.model.leases.items()}
        rows = {row.id: row for row in Lease.objects.all()}
        assert {token for token, ids in held.items() if ids} == rows.keys()
        leased = sorted(i.id for k in self.model.kinds for i in self.model.of(k, LEASED))
        assert sorted(id_ for ids in held.values() for id_ in ids) == leased

    def _compare_the_rest(self) -> None:
        ids = {(d.queue_id, d.dedup_id): d.message_id for d in Dedup.objects.all()}
        assert ids == {place: message for place, (message, _) in self.model.ids.items()}
        columns = ("queue_id", "message_id", "outcome", "receives", "reason")
        assert sorted(Outcome.objects.values_list(*columns)) == sorted(self.model.outcomes)
        assert {h.id for h in Handling.objects.all()} == self.model.notes.keys()
        for kind in self.model.kinds.values():
            heads = [i.key for i in self.model.of(kind.id, *HEADS) if i.ordered]
            assert len(heads) == len(set(heads)), "a key has two heads"
            assert {i.key for i in self.model.of(kind.id, WAITING)} <= set(heads), "a key is stuck"

    def _compare_depths(self) -> None:
        counts = selectors.count_messages(list(NAMES))
        for kind in self.queues:
            states = {"scheduled": SCHEDULED, "ready": READY, "waiting": WAITING, "leased": LEASED, "dead": DEAD}
            assert counts[kind.name] == {name: len(self.model.of(kind.id, s)) for name, s in states.items()}

    def teardown(self) -> None:
        """Once queues are gone, nothing of them stays."""
        if not hasattr(self, "pool"):
            return
        self.pool.submit(lambda: connection.close()).result(timeout=10)
        self.pool.shutdown()
        beside.close("default")
        for kind in self.queues:
            services.delete_queue(kind.name, actor="ann")
        Handling.objects.all().delete()
        for table in (Message, Lease, Dedup, Outcome):
            assert not table.objects.exists()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM queues_intent")
            assert cursor.fetchone() == (0,)


def test_the_queue_does_what_the_model_does() -> None:
    look_shortly(QueueMachine)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_queue_does_what_the_model_does_however_long_one_looks() -> None:
    look_long(QueueMachine, examples=12)
