"""Producers append."""

import random
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple, TypeVar

from logs import metadata, signals, store
from logs.declarations import Topic
from logs.errors import KeyRequired, PublisherNotOwner, TimestampOutOfRange, TopicAltered
from logs.models import Topic as TopicRow
from logs.partitioner import partition_for_key
from mqsite.announce import announce
from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.payloads import Headers, encode, encode_headers, encode_key
from mqsite.sql import in_transaction

T = TypeVar("T")

MAX_BATCH_RECORDS = 10_000
MAX_ID_CHARACTERS = 512


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
    topic: str, batch: list[NewRecord], acting: str | None, located: store.Located, *, using: str
) -> list[Published] | None:
    if acting != located.owner:
        raise PublisherNotOwner(owner=located.owner, verb="publishes to", name=topic, boundary=acting or "nobody")
    staged = in_transaction(using)
    if not batch:
        return None if staged else []
    keys = [encode_key(record.key) for record in batch]
    routed = _route(topic, located, batch, keys)
    order = sorted(range(len(batch)), key=routed.__getitem__)
    grouped = _group(topic, located, batch, keys, routed, order)
    if staged:
        if not store.stage(grouped, topic_id=located.topic_id, revision=located.revision, using=using):
            raise TopicAltered
        _announce(topic, routed, using=using)
        return None
    placed = _append(located, grouped, using=using)
    published: list[Any] = [None] * len(batch)
    for index, place in zip(order, placed, strict=True):
        published[index] = place
    if fresh := [place.partition for place in placed if not place.duplicate]:
        _announce(topic, fresh, using=using)
    return published


def _append(located: store.Located, grouped: store.Batch, *, using: str) -> list[Published]:
    """Where each record of the grouped batch stands."""
    numbers = {id_: number for number, id_ in enumerate(located.partition_ids)}
    if grouped.ids:
        answered = store.append_once(grouped, revision=located.revision, using=using)
        return [Published(numbers[id_], offset, known) for id_, offset, known in answered]
    firsts = store.append(grouped, revision=located.revision, using=using)
    return [
        Published(numbers[id_], offset)
        for id_, first, count in zip(grouped.partitions, firsts, grouped.counts, strict=True)
        for offset in range(first, first + count)
    ]


def _route(topic: str, located: store.Located, batch: list[NewRecord], keys: list[bytes | None]) -> list[int]:
    """The partition of each record, by number."""
    count = len(located.partition_ids)
    sticky = random.randrange(count)
    routed = []
    for record, key in zip(batch, keys, strict=True):
        if record.partition is not None:
            metadata.pick_partition(located, topic, record.partition)
            routed.append(record.partition)
        else:
            routed.append(sticky if key is None else partition_for_key(key, count))
    return routed


def _group(
    topic: str,
    located: store.Located,
    batch: list[NewRecord],
    keys: list[bytes | None],
    routed: list[int],
    order: list[int],
) -> store.Batch:
    """The batch as the store takes it: by partition, in the order given within each."""
    vals, types, headers, sizes = [], [], [], []
    for index in order:
        record, key = batch[index], keys[index]
        value, content_type = encode(record.value, record.content_type)
        header = encode_headers(record.headers) if record.headers else None
        size = (len(key) if key else 0) + (len(value) if value else 0) + (len(header.encode()) if header else 0)
        if size > located.max_message_bytes:
            limit = located.max_message_bytes
            raise PayloadTooLarge(what=f"Record {index}", size=size, name=f"{topic} (max.message.bytes)", limit=limit)
        vals.append(value)
        types.append(content_type)
        headers.append(header)
        sizes.append(size)
    counts = sorted(Counter(routed).items())
    ends: list[int] = []
    for _, count in counts:
        ends += accumulate(sizes[len(ends) : len(ends) + count])
    return store.Batch(
        partitions=[located.partition_ids[number] for number, _ in counts],
        counts=[count for _, count in counts],
        keys=_column(_keys(topic, located, keys, order)),
        vals=_column(vals),
        headers=_column(headers),
        content_types=_column(types),
        ends=ends,
        timestamps=_column(_timestamps(located, batch, order)),
        ids=_column(_ids(batch, order)),
    )


def _column(cells: list[T | None]) -> list[T | None] | None:
    """None where no record fills the column: PostgreSQL then makes it up by itself."""
    return cells if any(cell is not None for cell in cells) else None


def _keys(topic: str, located: store.Located, keys: list[bytes | None], order: list[int]) -> list[bytes | None]:
    if None in keys and "compact" in located.cleanup_policy:
        raise KeyRequired(index=keys.index(None), topic=topic)
    return [keys[index] for index in order]


def _timestamps(located: store.Located, batch: list[NewRecord], order: list[int]) -> list[datetime | None]:
    if located.timestamp_type == TopicRow.TimestampType.LOG_APPEND_TIME:
        return []
    limit = time.time() + located.timestamp_after_max_ms / 1_000
    for index, record in enumerate(batch):
        if record.timestamp is None:
            continue
        if not isinstance(record.timestamp, datetime) or record.timestamp.tzinfo is None:
            raise Invalid(reason=f"Record {index}: timestamp is {record.timestamp!r}, not a datetime with a time zone.")
        if record.timestamp.timestamp() > limit:
            ahead = located.timestamp_after_max_ms
            raise TimestampOutOfRange(index=index, timestamp=record.timestamp.isoformat(), limit_ms=ahead)
    return [batch[index].timestamp for index in order]


def _ids(batch: list[NewRecord], order: list[int]) -> list[str | None]:
    for index, record in enumerate(batch):
        id_ = record.id
        if id_ is None:
            continue
        if not isinstance(id_, str) or not 1 <= len(id_) <= MAX_ID_CHARACTERS or "\0" in id_:
            raise Invalid(reason=f"Record {index}: an id is text of 1 to {MAX_ID_CHARACTERS} characters, not {id_!r}.")
    return [batch[index].id for index in order]


def _announce(topic: str, partitions: list[int], *, using: str) -> None:
    announce(
        signals.records_published, topic=topic, partitions=sorted(set(partitions)), count=len(partitions), using=using
    )
