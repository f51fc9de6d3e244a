"""Producers append."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from logs import selectors, signals, store
from logs.declarations import Topic
from logs.errors import PartitionNotFound, PublisherNotOwner
from logs.partitioner import partition_for_key
from mqsite.announce import announce
from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.payloads import Headers, encode, encode_headers, encode_key
from mqsite.sql import in_transaction

MAX_BATCH_RECORDS = 10_000


class Published(NamedTuple):
    """Where a record stands."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to publish. `value`: bytes, text, None, or anything JSON can say."""

    value: Any
    key: str | bytes | None = None
    headers: Headers = ()
    content_type: str | None = None
    partition: int | None = None


def publish(
    topic: Topic | str,
    value: Any,
    *,
    key: str | bytes | None = None,
    headers: Headers = (),
    content_type: str | None = None,
    partition: int | None = None,
    boundary: str | None = None,
    using: str = "default",
) -> Published | None:
    """Publish one record; where it stands, or None inside a transaction: see `publish_many`."""
    record = NewRecord(value, key, headers, content_type, partition)
    published = publish_many(topic, [record], boundary=boundary, using=using)
    return published[0] if published else None


def publish_many(
    topic: Topic | str, records: Iterable[NewRecord], *, boundary: str | None = None, using: str = "default"
) -> list[Published] | None:
    """Publish a batch, all or nothing, as the boundary of the declared topic (or `boundary`).

    Outside a transaction: partition and offset of each record, in order. Inside one the records
    appear with its commit, in commit order, or not at all; until then they have no offset, so the
    answer is None.
    """
    name = str(topic)
    batch = list(records)
    if len(batch) > MAX_BATCH_RECORDS:
        raise Invalid(reason=f"A batch has at most {MAX_BATCH_RECORDS:,} records; this one has {len(batch):,}.")
    located = selectors.locate_topic(name, using=using)
    acting = topic.owner if isinstance(topic, Topic) else boundary
    if acting != located.owner:
        raise PublisherNotOwner(owner=located.owner, verb="publishes to", name=name, boundary=acting or "nobody")
    if not batch:
        return [] if not in_transaction(using) else None
    routed = _route(name, located, batch)
    grouped = _group(located, routed, batch)
    firsts = None if in_transaction(using) else store.append(grouped, using=using)
    if firsts is None:
        store.stage(grouped, using=using)
    announce(signals.records_published, topic=name, partitions=sorted(set(routed)), count=len(batch), using=using)
    return None if firsts is None else _place(located, routed, dict(zip(grouped.partitions, firsts, strict=True)))


def _route(topic: str, located: store.Located, batch: list[NewRecord]) -> list[int]:
    """The partition of each record: the one it names, that of its key, or one for all without either."""
    count = len(located.partition_ids)
    sticky = random.randrange(count)
    routed = []
    for record in batch:
        key = encode_key(record.key)
        if record.partition is not None:
            if not 0 <= record.partition < count:
                raise PartitionNotFound(topic=topic, partition=record.partition, last=count - 1)
            routed.append(record.partition)
        else:
            routed.append(sticky if key is None else partition_for_key(key, count))
    return routed


def _group(located: store.Located, routed: list[int], batch: list[NewRecord]) -> store.Batch:
    """The batch as the store takes it: by partition, in the order given within each."""
    ids = [located.partition_ids[number] for number in routed]
    order = sorted(range(len(batch)), key=ids.__getitem__)
    partitions = sorted(set(ids))
    grouped = store.Batch(partitions, [ids.count(id_) for id_ in partitions], [], [], [], [])
    for index in order:
        record = batch[index]
        key = encode_key(record.key)
        value, content_type = encode(record.value, record.content_type)
        size = len(key or b"") + len(value or b"")
        if size > located.max_message_bytes:
            raise PayloadTooLarge(what=f"Record {index}", size=size, name="its topic", limit=located.max_message_bytes)
        grouped.keys.append(key)
        grouped.vals.append(value)
        grouped.headers.append(encode_headers(record.headers))
        grouped.content_types.append(content_type)
    return grouped


def _place(located: store.Located, routed: list[int], nexts: dict[int, int]) -> list[Published]:
    """Each record's offset, counted on from the first one of its partition."""
    published = []
    for number in routed:
        partition_id = located.partition_ids[number]
        published.append(Published(number, nexts[partition_id]))
        nexts[partition_id] += 1
    return published
