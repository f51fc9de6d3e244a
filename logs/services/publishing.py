"""Producers append."""

import random
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, chain, repeat
from typing import Any, NamedTuple, TypeVar

from logs import metadata, rows, signals, store
from logs.declarations import Topic
from logs.errors import KeyRequired, PartitionNotFound, PublisherNotOwner, TimestampOutOfRange, TopicAltered
from logs.models import Topic as TopicRow
from logs.partitioner import partition_for_key
from mqsite.announce import announce
from mqsite.arrays import ByteaArray, Int8Array
from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.payloads import Headers, encode, encode_headers, encode_key, is_storable
from mqsite.sql import in_transaction

T = TypeVar("T")

MAX_BATCH_RECORDS = 10_000
MAX_BATCH_BYTES = 100 * 1024 * 1024  # keys, values and headers; PostgreSQL takes less than 1 GB at once
MAX_CONTENT_TYPE_CHARACTERS = 255
MAX_ID_CHARACTERS = 512
FIRST_TIMESTAMP = datetime.min.replace(tzinfo=UTC)

new_tuple = tuple.__new__  # half the cost of the named tuple's own constructor, a thousand times a batch


#: A record as it will be stored: key, value, headers, content type, timestamp, id, its size and its place in the
#: caller's batch. A plain tuple: it is made a thousand times a batch.
Draft = tuple[bytes | None, bytes | None, str | None, str | None, datetime | None, str | None, int, int]


class Published(NamedTuple):
    """Where a record stands; `duplicate`: it stood there before, published under the same id."""

    partition: int
    offset: int
    duplicate: bool = False


class NewRecord(NamedTuple):
    """A record to publish. `value`: bytes, text, None, or anything JSON can say.

    Partition: the one given, else that of the key (murmur2, as Kafka), else one for all records of the
    call that have neither. `timestamp` has a time zone and counts to the microsecond; without one, the
    time of the append. `id` makes publishing idempotent: see `publish_many`.
    """

    value: Any
    key: str | bytes | None = None
    headers: Headers = ()
    content_type: str | None = None
    partition: int | None = None
    timestamp: datetime | None = None
    id: str | None = None


def publish(
    topic: Topic | str,
    value: Any,
    *,
    key: str | bytes | None = None,
    headers: Headers = (),
    content_type: str | None = None,
    partition: int | None = None,
    timestamp: datetime | None = None,
    id: str | None = None,
    boundary: str | None = None,
    using: str = "default",
) -> Published | None:
    """Publish one record; where it stands, or None inside a transaction: see `publish_many`."""
    record = NewRecord(value, key, headers, content_type, partition, timestamp, id)
    published = publish_many(topic, [record], boundary=boundary, using=using)
    return published[0] if published else None


def publish_many(
    topic: Topic | str, records: Iterable[NewRecord], *, boundary: str | None = None, using: str = "default"
) -> list[Published] | None:
    """Publish a batch, all or nothing, as the boundary of the declared topic (or `boundary`).

    Outside a transaction: where each record stands, in order. Inside one the records appear with its
    commit, in commit order, or not at all; until then they have no offset, so the answer is None.

    A record with an `id` is stored once per topic: as long as the id is remembered
    (MQSITE_PRODUCER_ID_SECONDS), publishing it again answers the ORIGINAL partition and offset. Concurrent
    publishers of one id wait for each other, in a transaction at its COMMIT.
    """
    batch = list(records)
    if len(batch) > MAX_BATCH_RECORDS:
        raise Invalid(reason=f"A batch has at most {MAX_BATCH_RECORDS:,} records; this one has {len(batch):,}.")
    acting = topic.owner if isinstance(topic, Topic) else boundary
    work = partial(_publish, str(topic), batch, acting, using=using)
    return metadata.use_topic(str(topic), work, using=using)


def _publish(
    topic: str, batch: list[NewRecord], acting: str | None, located: rows.Located, *, using: str
) -> list[Published] | None:
    if acting != located.owner:
        raise PublisherNotOwner(owner=located.owner, verb="publishes to", name=topic, boundary=acting or "nobody")
    staged = in_transaction(using)
    if not batch:
        return None if staged else []
    drafts = _draft(topic, located, batch)
    if staged:
        if not store.stage(_group(located, drafts), topic_id=located.topic_id, revision=located.revision, using=using):
            raise TopicAltered
        _announce(topic, list(drafts), len(batch), using=using)
        return None
    published = _append(located, drafts, len(batch), using=using)
    known = sum(place.duplicate for place in published) if any(record.id for record in batch) else 0
    if known < len(batch):
        _announce(topic, list(drafts), len(batch) - known, using=using)
    return published


def _draft(topic: str, located: rows.Located, batch: list[NewRecord]) -> dict[int, list[Draft]]:
    """Partition number to its records, ascending, each in the order given."""
    count = len(located.partition_ids)
    sticky = random.randrange(count)
    latest = time.time() + located.timestamp_after_max_ms / 1_000
    drafts: dict[int, list[Draft]] = {}
    total = 0
    for index, (value, key, headers, content_type, number, timestamp, id_) in enumerate(batch):
        if key is not None and type(key) is not bytes:
            key = encode_key(key)
        if content_type is not None:
            _check_content_type(index, content_type)
        if type(value) is not bytes:
            value, content_type = encode(value, content_type)
        encoded = encode_headers(headers) if headers else None
        size = (len(key) if key else 0) + (len(value) if value else 0) + (len(encoded.encode()) if encoded else 0)
        if size > located.max_message_bytes:
            limit = located.max_message_bytes
            raise PayloadTooLarge(what=f"Record {index}", size=size, name=f"{topic} (max.message.bytes)", limit=limit)
        total += size
        if total > MAX_BATCH_BYTES:
            raise PayloadTooLarge(what="The batch", size=total, name="one publish", limit=MAX_BATCH_BYTES)
        if key is None and located.is_compacted:
            raise KeyRequired(index=index, topic=topic)
        if timestamp is not None:
            timestamp = _check_timestamp(index, timestamp, latest, located)
        if id_ is not None:
            _check_id(index, id_)
        if number is None:
            number = sticky if key is None else partition_for_key(key, count)
        elif not 0 <= number < count:
            raise PartitionNotFound(topic=topic, partition=number, last=count - 1)
        draft = (key, value, encoded, content_type, timestamp, id_, size, index)
        if number in drafts:
            drafts[number].append(draft)
        else:
            drafts[number] = [draft]
    return dict(sorted(drafts.items()))


def _check_content_type(index: int, content_type: object) -> None:
    fits = isinstance(content_type, str) and len(content_type) <= MAX_CONTENT_TYPE_CHARACTERS
    if not fits or not is_storable(str(content_type)):
        limit = MAX_CONTENT_TYPE_CHARACTERS
        raise Invalid(reason=f"Record {index}: a content type is text of at most {limit} characters.")


def _check_timestamp(index: int, timestamp: object, latest: float, located: rows.Located) -> datetime | None:
    if not isinstance(timestamp, datetime) or timestamp.tzinfo is None:
        raise Invalid(reason=f"Record {index}: timestamp is {timestamp!r}, not a datetime with a time zone.")
    if timestamp < FIRST_TIMESTAMP:  # PostgreSQL would keep it and no reader could take it
        raise Invalid(reason=f"Record {index}: timestamp is {timestamp!r}, before the year 1 in UTC.")
    if timestamp.timestamp() > latest:
        ahead = located.timestamp_after_max_ms
        raise TimestampOutOfRange(index=index, timestamp=timestamp.isoformat(), limit_ms=ahead)
    return timestamp if located.timestamp_type == TopicRow.TimestampType.CREATE_TIME else None


def _check_id(index: int, id_: object) -> None:
    if not isinstance(id_, str) or not 1 <= len(id_) <= MAX_ID_CHARACTERS or not is_storable(id_):
        raise Invalid(reason=f"Record {index}: an id is text of 1 to {MAX_ID_CHARACTERS} characters, not {id_!r}.")


def _group(located: rows.Located, drafts: dict[int, list[Draft]]) -> rows.Batch:
    """The batch as the store takes it. A column that no record fills is None: PostgreSQL makes it up by itself."""
    columns = zip(*chain.from_iterable(drafts.values()), strict=True)
    keys, vals, headers, content_types, timestamps, ids, sizes, _ = columns
    counts = [len(records) for records in drafts.values()]
    return rows.Batch(
        partitions=[located.partition_ids[number] for number in drafts],
        counts=counts,
        keys=ByteaArray(keys) if _is_filled(keys) else None,
        vals=ByteaArray(vals) if _is_filled(vals) else None,
        headers=_column(headers),
        content_types=_column(content_types),
        ends=Int8Array(_add_up(sizes, counts)),
        timestamps=_column(timestamps),
        ids=_column(ids),
    )


def _add_up(sizes: Sequence[int], counts: list[int]) -> list[int]:
    """The running total of each partition's records."""
    ends: list[int] = []
    for count in counts:
        ends += accumulate(sizes[len(ends) : len(ends) + count])
    return ends


def _column(cells: tuple[T | None, ...]) -> list[T | None] | None:
    return list(cells) if _is_filled(cells) else None


def _is_filled(cells: tuple[Any, ...]) -> bool:
    return cells.count(None) < len(cells)


def _append(located: rows.Located, drafts: dict[int, list[Draft]], count: int, *, using: str) -> list[Published]:
    """Where each record stands, in the caller's order."""
    known, revision = located.partition_ids, located.revision
    if count == 1:
        ((number, (draft,)),) = drafts.items()
        *record, id_, size, _ = draft
        if id_ is None:
            offset = store.append_one(known[number], record, size, revision=revision, using=using)
            return [Published(number, offset)]
    batch = _group(located, drafts)
    published: list[Any] = [None] * count
    if batch.ids:
        numbers = {id_: number for number, id_ in enumerate(known)}
        answered = store.append_once(batch, revision=revision, using=using)
        for draft, (partition_id, offset, duplicate) in zip(
            chain.from_iterable(drafts.values()), answered, strict=True
        ):
            published[draft[-1]] = Published(numbers[partition_id], offset, duplicate)
        return published
    firsts = store.append(batch, revision=revision, using=using)
    for (number, records), first in zip(drafts.items(), firsts, strict=True):
        cells = zip(repeat(number), range(first, first + len(records)), repeat(False))
        for draft, place in zip(records, map(new_tuple, repeat(Published), cells), strict=False):
            published[draft[-1]] = place
    return published


def _announce(topic: str, partitions: list[int], count: int, *, using: str) -> None:
    announce(signals.records_published, topic=topic, partitions=partitions, count=count, using=using)
