"""Consumer groups against a model of plain Python, in whatever order their services are called."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from logs import selectors, services
from logs.errors import (
    Fenced,
    MemberFenced,
    NoOffset,
    OffsetOutOfRange,
)
from logs.models import ConsumerGroup, GroupPartition, Member, Topic
from logs.services import Assignment, GroupReader, NewRecord, group_reader
from tests.group_model import Group, Log, Place, Reader
from tests.group_operations import Operations
from tests.models import look_long, look_shortly

pytestmark = pytest.mark.django_db(transaction=True)

TOPICS = ("orders", "payments")
MOST_PARTITIONS = 5
MOST_MEMBERS = 5
STABLE_ROUNDS = 12
POLICIES = ["earliest", "earliest", "latest", "none", "by_duration:PT1H", "by_duration:PT0S"]
MODES = ["to-earliest", "to-latest", "to-offset", "from-file", "by-duration", "to-datetime", "from-group"]
RELATIVE = ["to-current", "shift-by", "skip-one"]

which = st.integers(0, 5)
number = st.integers(0, MOST_PARTITIONS - 1)
topic = st.sampled_from(TOPICS)
chosen_topics = st.sampled_from([None, None, ["orders"], ["orders", "payments"]])


def call(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(name), *arguments)


work = call(
    "work", which, st.integers(1, 2), st.sampled_from([2, 500]), st.sampled_from(["look", "commit", "handle", "fail"])
)
common = st.one_of(
    work,
    work,
    work,
    call("publish", topic, st.lists(number, min_size=1, max_size=8)),
    call("poll", which, st.sampled_from([1, 3, 500, 500])),
    call("commit", which),
    call("handle_in_a_transaction", which, st.booleans()),
    call("join", which, st.sampled_from([None, None, "one", "two"]), chosen_topics),
    call("delete_records", topic, number, st.integers(0, 12)),
    call("add_a_partition", topic),
)
calls = st.one_of(
    common,
    common,
    common,
    call("leave", which),
    call("die", which),
    call("commit_in_an_old_epoch", which, number),
    call("hold_as_a_worker", which, number),
    call("let_the_workers_go"),
    call("reset", which, st.sampled_from([*MODES, *RELATIVE]), number, st.integers(0, 12), st.booleans(), common),
    call("reset_what_is_paused", which, st.sampled_from(RELATIVE), number, st.integers(0, 6), common),
    call("undo", which, common),
    call("pause", which, st.sampled_from([None, *TOPICS]), st.none() | number),
    call("resume", which, st.sampled_from([None, *TOPICS]), st.none() | number),
    call("alter_policy", which, st.sampled_from(POLICIES)),
    call("delete_offsets", which, topic),
    call("delete_group", which, st.sampled_from(POLICIES)),
    call("come_to_rest"),
)


class GroupMachine(Operations, RuleBasedStateMachine):
    @initialize(policies=st.tuples(st.sampled_from(POLICIES), st.sampled_from(POLICIES)))
    def create(self, policies: tuple[str, str]) -> None:
        self.logs = {}
        for name, partitions in zip(TOPICS, (3, 1), strict=True):
            services.create_topic(name, owner="shop", partitions=partitions)
            self.logs |= {(name, n): Log() for n in range(partitions)}
        self.groups = [self._create_group(f"group-{n}", policy) for n, policy in enumerate(policies)]
        self.members = []
        for which in (0, 0, 1):
            self.join(which, None, None)
        self.workers = []
        self.old: list[Assignment] = []
        self.undoable = []
        self.epochs: dict[int, int] = {}
        self.numbers = count()

    @rule(called=calls)
    def do(self, called: tuple[Any, ...]) -> None:
        getattr(self, called[0])(*called[1:])

    def _create_group(self, name: str, policy: str) -> Group:
        services.create_group(name, owner="billing", topics=["orders"], auto_offset_reset=policy)
        group = Group(name, policy, self.logs)
        group.subscribe("orders")
        if policy == "none":
            services.reset_offsets(name, "to-earliest", actor="test")
            for place in group.stands:
                group.move(place, self.logs[place].start)
        return group

    def _member(self, which: int) -> Reader | None:
        return self.members[which % len(self.members)] if self.members else None

    # The log

    def publish(self, topic: str, numbers: list[int]) -> None:
        size = sum(name == topic for name, _ in self.logs)
        batch = [NewRecord(next(self.numbers), partition=n % size) for n in numbers]
        services.publish_many(topic, batch, boundary="shop")
        for record in batch:
            assert record.partition is not None
            self.logs[topic, record.partition].end += 1

    def delete_records(self, topic: str, number: int, back: int) -> None:
        place = (topic, number % sum(name == topic for name, _ in self.logs))
        log = self.logs[place]
        log.start = max(log.start, log.end - back)
        services.delete_records(topic, {place[1]: log.start}, actor="test")

    def add_a_partition(self, topic: str) -> None:
        size = sum(name == topic for name, _ in self.logs)
        if size < MOST_PARTITIONS:
            services.add_partitions(topic, size + 1, actor="test")
            self.logs[topic, size] = Log()
            for group in self.groups:
                if topic in group.topics:
                    group.subscribe(topic)
                    group.stands[topic, size].committed = 0

    # Members

    def work(self, which: int, count: int, most: int, then: str) -> None:
        """There is something to read, and a member reads it."""
        for topic in TOPICS:
            self.publish(topic, [n for name, n in self.logs if name == topic] * count)
        self.poll(which, most)
        if then == "commit":
            self.commit(which)
        elif then != "look":
            self.handle_in_a_transaction(which, then == "fail")

    def join(self, which: int, instance: str | None, topics: list[str] | None) -> None:
        group = self._group(which)
        if len(self.members) >= MOST_MEMBERS:
            return
        membership = services.join_group(group.name, boundary="billing", topics=topics, instance=instance)
        for topic in topics or ():
            group.subscribe(topic)
        for former in self.members:
            if former.group is group and former.reader.membership.member == instance:
                former.is_former = True
        reader = GroupReader(membership)
        reader._beat_at = float("inf")  # time is the test's
        self.members.append(Reader(reader, group, topics))

    def poll(self, which: int, most: int) -> None:
        member = self._member(which)
        if member is None:
            return
        self.old += member.reader.assignments
        if member.is_former:
            self._poll_as_a_former_self(member)
            return
        if not member.is_alive:
            member.reader._beat_at, member.is_alive = 0.0, True  # it wakes up
        passed = any(member.positions[p] < self.logs[p].start for p in member.epochs)
        try:
            records = member.reader.poll(max_records=500 if passed else most)
        except (NoOffset, OffsetOutOfRange):
            stands = member.group.stands
            assert member.group.policy == "none"
            assert passed or any((s.committed or -1) < max(0, self.logs[p].start) for p, s in stands.items())
            member.forget()
            member.reader.rewind()
            return
        finally:
            member.reader._beat_at = float("inf")
        member.take_up()
        member.note(records)

    def _poll_as_a_former_self(self, member: Reader) -> None:
        now = [m for m in self.members if m.reader.membership.member == member.reader.membership.member]
        if any(m.is_alive and not m.is_former for m in now if m.group is member.group):
            with pytest.raises(MemberFenced):
                member.reader.poll()
        self.members.remove(member)

    def commit(self, which: int) -> None:
        member = self._member(which)
        if member is None:
            return
        with self._expecting_fenced(member, self._find_fenced(member)):
            member.reader.commit()

    def handle_in_a_transaction(self, which: int, fails: bool) -> None:
        member = self._member(which)
        if member is None:
            return
        if fails:
            with pytest.raises((KeyError, Fenced)), member.reader.transaction():
                raise KeyError
            member.forget()
        elif self._find_fenced(member) or member.lost:
            with pytest.raises(Fenced), member.reader.transaction():
                pass
            member.forget()
        else:
            with member.reader.transaction():
                pass
            self._note_commit(member, member.open)

    def _find_fenced(self, member: Reader) -> set[Place]:
        return {place for place in member.open if self._row(member.group, place).get("epoch") != member.epochs[place]}

    @contextmanager
    def _expecting_fenced(self, member: Reader, fenced: set[Place]) -> Iterator[None]:
        committed = member.open - fenced
        if fenced or member.lost:
            with pytest.raises(Fenced):
                yield
        else:
            yield
        member.lost = False
        self._note_commit(member, committed)
        for place in fenced:
            for kept in (member.epochs, member.positions, member.committed):
                kept.pop(place, None)

    def _note_commit(self, member: Reader, places: set[Place]) -> None:
        for place in places:
            member.group.stands[place].committed = member.committed[place] = member.positions[place]
        held = {(a.topic, a.partition) for a in member.reader.assignments}
        for place in set(member.epochs) - held:  # given back with the commit
            for kept in (member.epochs, member.positions, member.committed):
                del kept[place]

    def commit_in_an_old_epoch(self, which: int, offset: int) -> None:
        for assignment in self.old[-20:]:
            row = GroupPartition.objects.filter(id=assignment.group_partition_id).first()
            if row is None or row.epoch != assignment.epoch:
                with pytest.raises(Fenced):
                    services.commit_offset(assignment, offset)
                services.release_partition(assignment)

    def leave(self, which: int) -> None:
        member = self._member(which)
        if member:
            services.leave_group(member.reader.membership)
            self.members.remove(member)

    def die(self, which: int) -> None:
        """As if it slept past its session. It may be polled again, and wakes."""
        member = self._member(which)
        if member:
            of = {"group_id": member.reader.membership.group_id}
            name = member.reader.membership.member
            Member.objects.filter(name=name, **of).update(expires_at="2000-01-01T00:00Z")
            GroupPartition.objects.filter(owner=name, **of).update(expires_at="2000-01-01T00:00Z")
            for same in self.members:
                if same.group is member.group and same.reader.membership.member == name:
                    same.is_alive = False

    def hold_as_a_worker(self, which: int, number: int) -> None:
        group = self._group(which)
        place = ("orders", number % sum(name == "orders" for name, _ in self.logs))
        if place not in group.stands or group.position(place) is None:
            return
        held = services.acquire_partition(group.name, *place, member="worker")
        assert held is None or not group.is_still(place)
        if held:
            assert held.position == group.adopt(place)
            self.workers.append((group, place, held))

    def let_the_workers_go(self) -> None:
        for group, place, held in self.workers:
            if self._row(group, place).get("epoch") == held.epoch:
                got = services.fetch_assigned(held, held.position, max_records=2)
                position = held.position if held.position >= self.logs[place].start else group.adopt(place)
                assert [r.offset for r in got] == list(range(position or 0, self.logs[place].end))[:2]
                if got:
                    services.commit_offset(held, got[-1].offset + 1)
                    group.stands[place].committed = got[-1].offset + 1
            else:
                with pytest.raises(Fenced):
                    services.commit_offset(held, 0)
            services.release_partition(held)
        self.workers.clear()

    def come_to_rest(self) -> None:
        """Everybody polls and commits until nothing changes: then all is shared evenly."""
        self.let_the_workers_go()
        for _ in range(STABLE_ROUNDS):
            for member in list(self.members):
                if member in self.members and not member.is_former:
                    self.poll(self.members.index(member), 500)
                    self.commit(self.members.index(member))
        for group in self.groups:
            members = [m for m in self.members if m.group is group and not m.is_former]
            if any(group.position(place) is None for place in group.stands):
                continue
            names = {m.reader.membership.member: m.topics for m in members}
            sizes = dict.fromkeys(names, 0)
            for place in group.stands:
                owner = self._row(group, place)["owner"]
                readers = [n for n, topics in names.items() if topics is None or place[0] in topics]
                assert (owner in readers) if readers and not group.is_still(place) else owner is None
                if owner:
                    sizes[owner] += 1
                    assert group.position(place) == self.logs[place].end
            if all(topics is None for topics in names.values()) and sizes:
                assert max(sizes.values()) - min(sizes.values()) <= 1

    # What always holds

    @invariant()
    def everybody_stands_where_the_model_says(self) -> None:
        for group in self.groups:
            found = selectors.committed_offsets(selectors.require_group(group.name))
            stands = {(c["topic"], c["partition"]): c["committed"] for c in found}
            assert stands == {place: stand.committed for place, stand in group.stands.items()}
            for described in selectors.describe_group(group.name)["topics"]:
                for partition in described["partitions"]:
                    place = (described["name"], partition["number"])
                    (row,) = partition["groups"]
                    assert row["lag"] == self.logs[place].end - group.shown_position(place)
                    assert (row["lag_seconds"] is None) == (row["lag"] == 0)

    @invariant()
    def epochs_only_grow_and_are_of_one_holder(self) -> None:
        for id_, epoch in GroupPartition.objects.values_list("id", "epoch"):
            assert epoch >= self.epochs.get(id_, 0)
            self.epochs[id_] = epoch
        believed = [(m.group.name, place, epoch) for m in self.members for place, epoch in m.epochs.items()]
        assert len(believed) == len(set(believed))

    def teardown(self) -> None:
        for name in TOPICS:
            if Topic.objects.filter(name=name).exists():
                services.delete_topic(name, actor="test")
        ConsumerGroup.objects.filter(name__startswith="group-").delete()
        services.run_upkeep()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 0.0)


def test_groups_do_what_the_model_does() -> None:
    look_shortly(GroupMachine)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_groups_do_what_the_model_does_however_long_one_looks() -> None:
    look_long(GroupMachine, examples=10)
