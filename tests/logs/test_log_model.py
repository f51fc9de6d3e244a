"""The whole log against a model of plain lists, in whatever order its services are called."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from logs import selectors, services
from logs.errors import OffsetOutOfRange
from logs.models import ConsumerGroup, ExpiredRange, Extent, PublishedId, Record, Segment
from logs.services import NewRecord, upkeep
from mqsite.errors import PayloadTooLarge
from tests.log_model import Memory, Partition, Topic, in_savepoint, is_sticky, swap_memory
from tests.models import look_long, look_shortly

pytestmark = pytest.mark.django_db(transaction=True)

MOST_PARTITIONS = 4
HOUR_MS = 3_600_000
# An hour or more apart from what retention asks for: the time a test takes makes no difference.
AGES_HOURS = [-0.5, 1, 13, 30, 80, 200]
RETENTION_HOURS = [None, 12, 24, 48, 100]
WORTH_DELETING = 15  # records a topic must have had, or little would ever come to stand

ages = st.sampled_from(AGES_HOURS)
word = st.text(alphabet='aé"\0', max_size=3)
records = st.builds(
    NewRecord,
    value=st.none() | st.binary(max_size=12) | word | st.integers(),
    key=st.none() | st.sampled_from(["", "a", "b", b"\xff\0", "a longer key"]),
    headers=st.just(()) | st.lists(st.tuples(word, word), min_size=1, max_size=2),
    content_type=st.sampled_from([None, "image/png"]),
    partition=st.none() | st.integers(0, MOST_PARTITIONS - 1),
    timestamp=st.none() | ages,
    id=st.none() | st.sampled_from(["i", "j", "k", "é"]),
)
batches = st.lists(records, min_size=1, max_size=5)
topics = st.integers(0, 1)
places = st.integers(0, 200)
policies = st.lists(
    st.tuples(st.sampled_from(RETENTION_HOURS), st.sampled_from([-1, 0, 1, 3, 6, 10, 20])), min_size=1, max_size=4
)
some_places = st.sets(places, min_size=1, max_size=3)
# What a transaction does: publish in itself, or in a savepoint that is kept or rolled back.
actions = st.lists(st.tuples(topics, batches, st.sampled_from(["plain", "kept", "undone"])), min_size=1, max_size=4)
parts = st.sampled_from([services.apply_retention, services.free_segments, services.delete_expired])


def call(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(name), *arguments)


# One rule for all: of many, Hypothesis would leave out most in each example, and little would come together.
calls = st.one_of(
    call("publish", topics, batches),
    call("publish_once_each", topics, batches),
    call("fill_a_partition", topics, places, st.lists(ages, min_size=3, max_size=9)),
    call("publish_in_a_transaction", actions, st.booleans()),
    call("fetch_everywhere", topics, places, st.integers(1, 6), st.integers(0, 40)),
    call("find_offsets_for_times", topics, places),
    call("read_as_group", topics, st.integers(1, 4)),
    call("delete_records", topics, some_places, st.just(-1) | places, st.booleans()),
    call("delete_records", topics, some_places, places, st.booleans()),
    call("retain", topics, places, st.lists(ages, max_size=6), policies, st.booleans()),
    call("run_upkeep"),
    call("run_a_part_of_the_upkeep", parts),
    call("alter_publishing", topics, st.sampled_from([None, None, 20]), st.booleans(), st.booleans()),
    call("add_a_partition", topics),
    call("delete_and_create_anew", topics, st.integers(1, 3)),
    call("go_on_in_another_process"),
)


class LogMachine(RuleBasedStateMachine):
    @initialize(partitions=st.tuples(st.integers(1, 2), st.integers(1, 3)))
    def create(self, partitions: tuple[int, int]) -> None:
        self.now = datetime.now(UTC)
        self.numbers = count()
        self.topics = [self._create(f"topic-{n}", size) for n, size in enumerate(partitions)]
        services.create_group("group", owner="shop", topics=[topic.name for topic in self.topics])
        self.other_process: Memory = ({}, {})
        self.onlooker: Memory = ({}, {})

    @rule(called=calls)
    def do(self, called: tuple[Any, ...]) -> None:
        getattr(self, called[0])(*called[1:])

    def _create(self, name: str, partitions: int) -> Topic:
        services.create_topic(name, owner="shop", partitions=partitions)
        return Topic(name, [Partition() for _ in range(partitions)])

    # Publishing

    def fill_a_partition(self, which: int, number: int, times: list[float]) -> None:
        """With records of different size, their timestamps in any order."""
        batch = [NewRecord(b"x" * (n % 4), partition=number, timestamp=t) for n, t in enumerate(times)]  # type: ignore[arg-type]
        self.publish(which, batch)

    def publish_once_each(self, which: int, batch: list[NewRecord]) -> None:
        self.publish(which, [record._replace(id=record.id or "l") for record in batch])

    def publish(self, which: int, batch: list[NewRecord]) -> None:
        topic, batch = self.topics[which], self._make(batch, self.topics[which])
        if not topic.accepts(batch):
            with pytest.raises(PayloadTooLarge):
                services.publish_many(topic.name, batch, boundary="shop")
            return
        placed = services.publish_many(topic.name, batch, boundary="shop")
        assert placed is not None
        chosen = {p.partition for r, p in zip(batch, placed, strict=True) if is_sticky(r) and not p.duplicate}
        assert len(chosen) <= 1
        assert [tuple(p) for p in placed] == [tuple(p) for p in topic.append(batch, min(chosen, default=None))]
        self._learn_timestamps()

    def publish_in_a_transaction(self, doings: list[tuple[int, list[NewRecord], str]], undone: bool) -> None:
        staged: list[tuple[Topic, list[NewRecord]]] = []

        def work() -> None:
            for which, batch, manner in doings:
                topic, batch = self.topics[which], self._make(batch, self.topics[which])
                if not topic.accepts(batch):
                    continue
                assert in_savepoint(manner, partial(services.publish_many, topic.name, batch, boundary="shop")) is None
                if manner != "undone":
                    staged.append((topic, batch))
            self.everything_standing_comes_back()  # and nothing more, before the commit
            if undone:
                raise ZeroDivisionError

        if undone:
            with pytest.raises(ZeroDivisionError):
                with transaction.atomic():
                    work()
            return
        with transaction.atomic():
            work()
        for topic, batch in staged:
            with self._looking_on():
                sticky = self._find_sticky(topic, batch)
            topic.append(batch, sticky)
        self._learn_timestamps()

    def _make(self, batch: Sequence[NewRecord], topic: Topic) -> list[NewRecord]:
        """Drawn records fit for the topic. Those that may go anywhere can be told apart."""
        made = []
        for record in batch:
            if record.partition is not None:
                record = record._replace(partition=record.partition % len(topic.partitions))
            if record.timestamp is not None:
                record = record._replace(timestamp=self._ago(record.timestamp))  # type: ignore[arg-type]
            if is_sticky(record):
                record = record._replace(value=f"{next(self.numbers)}")
            made.append(record)
        return made

    def _ago(self, hours: float) -> datetime:
        return self.now - timedelta(hours=hours)

    @contextmanager
    def _looking_on(self) -> Iterator[None]:
        """As a process of its own: what publishes and reads must not profit from what the test looks at."""
        swap_memory(self.onlooker)
        try:
            yield
        finally:
            swap_memory(self.onlooker)

    def _find_sticky(self, topic: Topic, batch: list[NewRecord]) -> int | None:
        values = {str(record.value).encode() for record in batch if is_sticky(record)}
        for number, partition in enumerate(topic.partitions):
            if any(r.value in values for r in fetch_all(topic.name, number, partition.end)):
                return number
        return None

    def _learn_timestamps(self) -> None:
        """Where the server chose them they are of now."""
        with self._looking_on():
            for topic in self.topics:
                for number, partition in enumerate(topic.partitions):
                    unknown = [offset for offset, entry in enumerate(partition.entries) if entry.timestamp is None]
                    for record in fetch_all(topic.name, number, unknown[0]) if unknown else []:
                        if record.offset in unknown:
                            assert abs((datetime.now(UTC) - record.timestamp).total_seconds()) < 5
                            entry = partition.entries[record.offset]
                            partition.entries[record.offset] = entry._replace(timestamp=record.timestamp)

    # Reading

    def fetch_everywhere(self, which: int, number: int, max_records: int, max_bytes: int) -> None:
        topic, number, partition = self._pick(which, number)
        get = partial(services.fetch, topic.name, number, max_records=max_records, max_bytes=max_bytes)
        for outside in (-1, partition.start - 1, partition.end + 1, 2**63):
            if not partition.start <= outside <= partition.end:
                assert_out_of_range(partial(get, outside), partition)
        assert get(partition.end) == []
        for offset in range(partition.start, partition.end):
            got = get(offset)
            assert_records(got, partition, offset)
            wanted = partition.count_fetched(offset, max_records, max_bytes)
            assert 1 <= len(got) <= wanted
            assert len(got) == wanted or Extent.objects.filter(first_offset=offset + len(got)).exists()

    def find_offsets_for_times(self, which: int, number: int) -> None:
        topic, number, partition = self._pick(which, number)
        for hours in AGES_HOURS:
            for beside in (-1, 0, 1):
                time = self._ago(hours) + timedelta(microseconds=beside)
                assert selectors.find_offset_for_time(topic.name, number, time) == partition.find_time(time)

    def read_as_group(self, which: int, most: int) -> None:
        topic = self.topics[which]
        for number, partition in enumerate(topic.partitions):
            held = services.acquire_partition("group", topic.name, number, member="a")
            assert held is not None
            assert held.position == max(partition.start, partition.committed or 0)
            got = services.fetch_assigned(held, held.position, max_records=most)
            offset = max(held.position, partition.start)
            assert_records(got, partition, offset)
            assert got or offset == partition.end
            partition.committed = offset + len(got)
            services.commit_offset(held, partition.committed)
            services.release_partition(held)

    def _pick(self, which: int, number: int) -> tuple[Topic, int, Partition]:
        topic = self.topics[which]
        number %= len(topic.partitions)
        return topic, number, topic.partitions[number]

    # Deleting and changing

    def delete_records(self, which: int, numbers: set[int], place: int, clean: bool) -> None:
        topic = self.topics[which]
        picked = {number % len(topic.partitions) for number in numbers}
        partitions = {number: topic.partitions[number] for number in picked}
        before = {n: place if place < 0 else place % (p.end + 2) for n, p in partitions.items()}  # to one past the end
        if any(before[number] > p.end for number, p in partitions.items()):
            with pytest.raises(OffsetOutOfRange):
                services.delete_records(topic.name, before, actor="test")
            return
        for number, p in partitions.items():
            p.start = max(p.start, p.end if before[number] == -1 else before[number])
        starts = services.delete_records(topic.name, before, actor="test")
        assert starts == {number: p.start for number, p in partitions.items()}
        for number in partitions:
            self.find_offsets_for_times(which, number)
        if clean:
            self.run_upkeep()

    def run_a_part_of_the_upkeep(self, part: Callable[[], object]) -> None:
        part()
        if part is services.apply_retention:
            self._adopt_starts()

    def run_upkeep(self) -> None:
        services.run_upkeep()
        self._adopt_starts()
        assert not ExpiredRange.objects.exists()
        for topic in self.topics:
            for number, partition in enumerate(topic.partitions):
                shared = Record.objects.filter(partition__topic__name=topic.name, partition__number=number, segment=0)
                assert not shared.filter(offset__lt=partition.start).exists()

    def _adopt_starts(self) -> None:
        with self._looking_on():
            for topic in self.topics:
                hours = topic.retention_ms / HOUR_MS
                cutoff = None if topic.retention_ms < 0 else datetime.now(UTC) - timedelta(hours=hours)
                for bounds, partition in zip(selectors.bounds(topic.name), topic.partitions, strict=True):
                    least, most = partition.starts_by_retention(cutoff, topic.retention_bytes)
                    assert least <= bounds.log_start <= most
                    partition.start = bounds.log_start

    def retain(
        self, which: int, number: int, times: list[float], policies: list[tuple[int | None, int]], for_good: bool
    ) -> None:
        """By one policy after the other; most are taken back, or little would stand for long."""
        self.fill_a_partition(which, number, times)
        for hours, limit in policies:
            self._alter_retention(self.topics[which], -1 if hours is None else hours * HOUR_MS, limit)
            self.run_a_part_of_the_upkeep(services.apply_retention)
        if not for_good:
            self._alter_retention(self.topics[which], -1, -1)

    def _alter_retention(self, topic: Topic, milliseconds: int, limit: int) -> None:
        topic.retention_ms, topic.retention_bytes = milliseconds, limit
        configs = {"retention.ms": milliseconds, "retention.bytes": limit}
        services.alter_topic(topic.name, configs=configs, actor="test")

    def alter_publishing(self, which: int, limit: int | None, server_time: bool, indexed: bool) -> None:
        topic = self.topics[which]
        topic.max_message_bytes, topic.server_time = limit or 1_048_588, server_time
        configs = {
            "max.message.bytes": limit,
            "message.timestamp.type": "LogAppendTime" if server_time else "CreateTime",
            "index.keys": indexed,
        }
        services.alter_topic(topic.name, configs=configs, actor="test")

    def add_a_partition(self, which: int) -> None:
        topic = self.topics[which]
        if len(topic.partitions) < MOST_PARTITIONS:
            topic.partitions.append(Partition(committed=0))
            services.add_partitions(topic.name, len(topic.partitions), actor="test")

    def delete_and_create_anew(self, which: int, partitions: int) -> None:
        if self.topics[which].count < WORTH_DELETING:
            return
        name = self.topics[which].name
        services.delete_topic(name, actor="test")
        self.topics[which] = self._create(name, partitions)
        services.subscribe_group("group", name)

    def go_on_in_another_process(self) -> None:
        """Which has not looked since it was last in use."""
        swap_memory(self.other_process)

    # What always holds

    @invariant()
    def both_ends_and_the_size_are_right(self) -> None:
        with self._looking_on():
            for topic in self.topics:
                for bounds, partition in zip(selectors.bounds(topic.name), topic.partitions, strict=True):
                    assert bounds[2:] == (partition.start, partition.end, partition.size_bytes)
                    if partition.start:
                        below = partial(services.fetch, topic.name, bounds.number, partition.start - 1)
                        assert_out_of_range(below, partition)

    @invariant()
    def everything_standing_comes_back(self) -> None:
        with self._looking_on():
            for topic in self.topics:
                read: list[list[services.Record]] = [[] for _ in topic.partitions]
                for record in services.read_records(topic.name):
                    read[record.partition].append(record)
                for records_, partition in zip(read, topic.partitions, strict=True):
                    assert_records(records_, partition, partition.start)
                    assert len(records_) == partition.end - partition.start

    def teardown(self) -> None:
        """Once topics are gone, nothing of them stays."""
        for topic in getattr(self, "topics", []):
            services.delete_topic(topic.name, actor="test")
        services.run_upkeep()
        for table in (Record, ExpiredRange, Extent, PublishedId):
            assert not table.objects.exists()
        assert not Segment.objects.filter(topic_id__isnull=False).exists()
        ConsumerGroup.objects.filter(name="group").delete()


def fetch_all(topic: str, number: int, offset: int) -> list[services.Record]:
    """On to the log end, over all segments."""
    found: list[services.Record] = []
    while got := services.fetch(topic, number, offset + len(found)):
        found += got
    return found


def assert_records(records_: Iterable[services.Record], partition: Partition, offset: int) -> None:
    for place, record in enumerate(records_, start=offset):
        assert record.offset == place
        assert partition.entries[place].is_like(record), (partition.entries[place], record)


def assert_out_of_range(get: Callable[[], object], partition: Partition) -> None:
    with pytest.raises(OffsetOutOfRange) as refused:
        get()
    assert (refused.value.facts["log_start"], refused.value.facts["log_end"]) == (partition.start, partition.end)


@pytest.fixture(autouse=True)
def tiny_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "SHARED_RECORDS", 3)
    monkeypatch.setattr(upkeep, "SEGMENT_RECORDS", 3)


def test_the_log_does_what_lists_do() -> None:
    look_shortly(LogMachine)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_log_does_what_lists_do_however_long_one_looks() -> None:
    look_long(LogMachine, examples=15)
