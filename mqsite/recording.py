"""What a test publishes and sends, as it happens."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.dispatch import Signal

from logs import signals as log_signals
from logs.rows import Record
from logs.selectors import bounds
from logs.services import Published, assign_published, fetch
from logs.services.reading import MAX_FETCH_RECORDS
from mqsite.batches import MAX_BATCH_BYTES
from mqsite.sql import has_table
from queues import signals as queue_signals
from queues.rows import Message
from queues.selectors import find_messages
from queues.services import place_sent

QUEUE_SIGNALS = {
    queue_signals.messages_sent,
    queue_signals.messages_acked,
    queue_signals.messages_returned,
    queue_signals.messages_dead,
}


class Mark:
    """Whether the transaction or savepoint it was made in stands: Django drops with it what waits for the COMMIT."""

    def __init__(self, using: str) -> None:
        self._connection = connections[using]
        self._is_committed = False
        transaction.on_commit(self, using=using)

    def __call__(self) -> None:
        self._is_committed = True

    def stands(self) -> bool:
        return self._is_committed or any(each[1] is self for each in self._connection.run_on_commit)


class Heard(NamedTuple):
    """Records or messages of one call, in its order."""

    name: str
    items: list[Any]
    mark: Mark


class Recording:
    """Listens to what the core announces.

    Where the test runs in a transaction, which never commits, it does at once what each COMMIT would do: records get
    their offsets, messages their places, and what waits behind a key goes on.
    """

    def __init__(self) -> None:
        self._enclosed = {alias for alias in connections if connections[alias].in_atomic_block and _is_ours(alias)}
        self._records: list[Heard] = []
        self._messages: list[Heard] = []
        self._known: set[tuple[str, str, int, int]] = set()

    @property
    def is_enclosed(self) -> bool:
        """Whether the test runs in a transaction of its own."""
        return bool(self._enclosed)

    def hear(self, signal: Signal, using: str, facts: dict[str, Any]) -> None:
        if signal is log_signals.records_published:
            self._hear_records(using, **facts)
        elif signal in QUEUE_SIGNALS:
            if using in self._enclosed:
                place_sent(using=using)
            if signal is queue_signals.messages_sent:
                self._hear_messages(using, facts["queue"], [id_ for id_, _ in facts["messages"]])

    def settle(self) -> None:
        """Do to what came before it listened what its COMMIT would do."""
        for using in self._enclosed:
            assign_published(using=using)
            place_sent(using=using)

    def records(self, topic: str) -> list[Record]:
        return _list_standing(self._records, topic)

    def messages(self, queue: str) -> list[Message]:
        return _list_standing(self._messages, queue)

    def _hear_records(
        self,
        using: str,
        topic: str,
        partitions: Sequence[int],
        numbers: Sequence[int] = (),
        places: Sequence[Published] = (),
        **_: Any,
    ) -> None:
        new = [place for place in places if not place.duplicate]
        ends = {end.number: end.log_end for end in bounds(topic, using=using)}
        for place in reversed(new):
            ends[place.partition] = place.offset
        firsts = {number: ends[number] for number in partitions if number in ends}
        wanted = [place.partition for place in new] or list(numbers)
        read = partial(self._read_records, using, topic, firsts, wanted)
        if using in self._enclosed:
            assign_published(using=using)
            read()
        else:
            transaction.on_commit(read, using=using)

    def _read_records(self, using: str, topic: str, firsts: dict[int, int], wanted: Sequence[int]) -> None:
        """`wanted`: the partition of each, in the publisher's order. Fewer came where some were duplicates."""
        found = {number: iter(self._read(using, topic, number, first)) for number, first in firsts.items()}
        records = [record for number in wanted if (record := next(found[number], None)) is not None]
        self._known |= {(using, topic, record.partition, record.offset) for record in records}
        self._records.append(Heard(topic, records, Mark(using)))

    def _read(self, using: str, topic: str, partition: int, first: int) -> list[Record]:
        found = fetch(
            topic, partition, first, max_records=MAX_FETCH_RECORDS, max_bytes=2 * MAX_BATCH_BYTES, using=using
        )
        if using in self._enclosed:  # what is rolled back leaves its offsets to others
            return found
        return [record for record in found if (using, topic, partition, record.offset) not in self._known]

    def _hear_messages(self, using: str, queue: str, ids: Sequence[int]) -> None:
        def look() -> None:
            self._messages.append(Heard(queue, find_messages(queue, ids, using=using), Mark(using)))

        if using in self._enclosed:
            look()
        else:
            transaction.on_commit(look, using=using)


def _is_ours(alias: str) -> bool:
    """A project may have other databases, also of other kinds."""
    return connections[alias].vendor == "postgresql" and has_table(alias, "logs_staged")


def _list_standing(heard: list[Heard], name: str) -> list[Any]:
    return [item for each in heard if each.name == name and each.mark.stands() for item in each.items]
