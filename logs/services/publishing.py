"""Producers append."""

import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, repeat
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar, cast

from logs import metadata, rows, signals, store
from logs.declarations import Topic
from logs.errors import KeyRequired, PartitionNotFound, PublisherNotOwner, TimestampOutOfRange, TopicAltered
from logs.models import Topic as TopicRow
from logs.partitioner import hashes
from mqsite import tracing
from mqsite.announce import announce
from mqsite.arrays import ByteaArray, Int8Array
from mqsite.batches import read_columns, require_size
from mqsite.errors import Invalid, PayloadTooLarge
from mqsite.payloads import Headers, encode, encode_headers, encode_key, is_storable
from mqsite.sql import in_transaction

T = TypeVar("T")

MAX_CONTENT_TYPE_CHARACTERS = 255
MAX_ID_CHARACTERS = 512
NOTHING = (None,)
PLAIN = {bytes, type(None)}  # what needs no encoding
FIRST_TIMESTAMP = datetime.min.replace(tzinfo=UTC)

new_tuple = tuple.__new__  # half the cost of the named tuple's own constructor, a thousand times a batch


class Columns(NamedTuple):
    """A checked batch in the caller's order, a column each: passes over columns cost half of a loop of records."""

    keys: Sequence[bytes | None]
    vals: Sequence[bytes | None]
    headers: Sequence[str | None]
    content_types: Sequence[str | None]
    timestamps: Sequence[datetime | None]
    ids: Sequence[str | None]
    sizes: Sequence[int]


class _Given(NamedTuple):
    """Records as they are given, a column for each field of NewRecord."""

    values: Sequence[Any]
    keys: Sequence[Any]
    headers: Sequence[Headers]
    content_types: Sequence[Any]
    partitions: Sequence[int | None]
    timestamps: Sequence[Any]
    ids: Sequence[Any]


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
    topic: Topic | str, records: Iterable[NewRecord | Any], *, boundary: str | None = None, using: str = "default"
) -> list[Published] | None:
    """Publish a batch, all or nothing, as the boundary of the declared topic (or `boundary`).

    What is no `NewRecord` is a value.

    Outside a transaction: where each record stands, in order. Inside one the records appear with its
    commit, in commit order, or not at all; until then they have no offset, so the answer is None.

    A record with an `id` is stored once per topic: as long as the id is remembered
    (MQSITE_PRODUCER_ID_SECONDS), publishing it again answers the ORIGINAL partition and offset. Concurrent
    publishers of one id wait for each other, in a transaction at its COMMIT.
    """
    given = _Given._make(read_columns(records, NewRecord, "record"))
    acting = topic.owner if isinstance(topic, Topic) else boundary
    work = partial(_publish, str(topic), given, acting, using=using)
    return metadata.use_topic(str(topic), work, using=using)


def _publish(
    topic: str, given: _Given, acting: str | None, located: rows.Located, *, using: str
) -> list[Published] | None:
    if acting != located.owner:
        raise PublisherNotOwner(owner=located.owner, verb="publishes to", name=topic, boundary=acting or "nobody")
    staged = in_transaction(using)
    count = len(given.values)
    if not count:
        return None if staged else []
    columns, numbers = _check_batch(topic, located, given)
    touched = sorted(set(numbers))
    if staged:
        grouped, _ = _group(located, columns, numbers, touched)
        if not store.stage(grouped, topic_id=located.topic_id, revision=located.revision, using=using):
            raise TopicAltered
        _announce(topic, touched, count, {"numbers": numbers}, using=using)
        return None
    published = _append(located, columns, numbers, touched, using=using)
    known = sum(place.duplicate for place in published) if _is_filled(columns.ids) else 0
    if known < count:
        _announce(topic, touched, count - known, {"places": published}, using=using)
    return published


def _check_batch(topic: str, located: rows.Located, given: _Given) -> tuple[Columns, list[int]]:
    """The batch as it will be stored, and each record's partition."""
    values, keys, headers, content_types, numbers, timestamps, ids = given
    headers = tracing.carry(headers)
    if set(map(type, keys)) - PLAIN:
        keys = tuple(map(encode_key, keys))
    if _is_filled(content_types):
        _check_content_types(content_types)
    if set(map(type, values)) - PLAIN:
        values, content_types = zip(*map(encode, values, content_types), strict=True)
    encoded_headers = tuple(map(encode_headers, headers)) if any(headers) else NOTHING * len(values)
    sizes = _measure(topic, located, keys, values, encoded_headers)
    if located.is_compacted and None in keys:
        raise KeyRequired(index=keys.index(None), topic=topic)
    if _is_filled(timestamps):
        timestamps = tuple(_check_timestamps(timestamps, located))
    if _is_filled(ids):
        _check_ids(ids)
    columns = Columns(keys, values, encoded_headers, content_types, timestamps, ids, sizes)
    return columns, _choose_partitions(topic, len(located.partition_ids), keys, numbers)


def _measure(
    topic: str,
    located: rows.Located,
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    headers: Sequence[str | None],
) -> Sequence[int]:
    """The bytes of each record: key, value and headers."""
    sizes = [0 if value is None else len(value) for value in values]
    if _is_filled(keys):
        sizes = [size + len(key) if key else size for size, key in zip(sizes, keys, strict=True)]
    if _is_filled(headers):
        sizes = [size + len(text.encode()) if text else size for size, text in zip(sizes, headers, strict=True)]
    limit = located.max_message_bytes
    if max(sizes) > limit:
        index = next(index for index, size in enumerate(sizes) if size > limit)
        name = f"{topic} (max.message.bytes)"
        raise PayloadTooLarge(what=f"Record {index}", size=sizes[index], name=name, limit=limit)
    require_size(sum(sizes), "publish")
    return sizes


def _choose_partitions(
    topic: str, count: int, keys: Sequence[bytes | None], numbers: Sequence[int | None]
) -> list[int]:
    """The one given, else the key's, else one for all."""
    sticky = random.randrange(count)
    if not _is_filled(keys):
        routed = [sticky] * len(keys)
    elif None in keys:
        routed = [sticky if key is None else hashes[key] % count for key in keys]
    else:
        routed = [found % count for found in map(hashes.__getitem__, cast(Sequence[bytes], keys))]
    if _is_filled(numbers):
        for index, number in enumerate(numbers):
            if number is not None and not 0 <= number < count:
                raise PartitionNotFound(topic=topic, partition=number, last=count - 1)
            routed[index] = routed[index] if number is None else number
    return routed


def _check_content_types(content_types: Sequence[object]) -> None:
    limit = MAX_CONTENT_TYPE_CHARACTERS
    for index, content_type in enumerate(content_types):
        if content_type is None:
            continue
        fits = isinstance(content_type, str) and len(content_type) <= limit
        if not fits or not is_storable(str(content_type)):
            raise Invalid(reason=f"Record {index}: a content type is text of at most {limit} characters.")


def _check_timestamps(timestamps: Sequence[object], located: rows.Located) -> Sequence[datetime | None]:
    """As the topic's message.timestamp.type has it."""
    latest = time.time() + located.timestamp_after_max_ms / 1_000  # noqa: TID251 - else one more round trip
    for index, timestamp in enumerate(timestamps):
        if timestamp is None:
            continue
        if not isinstance(timestamp, datetime) or timestamp.tzinfo is None:
            raise Invalid(reason=f"Record {index}: timestamp is {timestamp!r}, not a datetime with a time zone.")
        if timestamp < FIRST_TIMESTAMP:  # PostgreSQL would keep it and no reader could take it
            raise Invalid(reason=f"Record {index}: timestamp is {timestamp!r}, before the year 1 in UTC.")
        if timestamp.timestamp() > latest:
            ahead = located.timestamp_after_max_ms
            raise TimestampOutOfRange(index=index, timestamp=timestamp.isoformat(), limit_ms=ahead)
    is_publishers = located.timestamp_type == TopicRow.TimestampType.CREATE_TIME
    return cast(Sequence[datetime | None], timestamps) if is_publishers else NOTHING * len(timestamps)


def _check_ids(ids: Sequence[object]) -> None:
    for index, id_ in enumerate(ids):
        if id_ is None:
            continue
        if not isinstance(id_, str) or not 1 <= len(id_) <= MAX_ID_CHARACTERS or not is_storable(id_):
            raise Invalid(reason=f"Record {index}: an id is text of 1 to {MAX_ID_CHARACTERS} characters, not {id_!r}.")


def _group(
    located: rows.Located, columns: Columns, numbers: list[int], touched: list[int]
) -> tuple[rows.Batch, Sequence[int]]:
    """The batch as the store takes it, by partition, and where each of its records stood before.

    A column that no record fills is None: PostgreSQL makes it up by itself.
    """
    sizes = Counter(numbers)
    counts = [sizes[number] for number in touched]
    order: Sequence[int] = range(len(numbers))
    if len(touched) > 1:
        order = sorted(order, key=numbers.__getitem__)
        pick = itemgetter(*order)
        columns = Columns._make(pick(column) if _is_filled(column) else column for column in columns)
    batch = rows.Batch(
        partitions=[located.partition_ids[number] for number in touched],
        counts=counts,
        keys=ByteaArray(columns.keys) if _is_filled(columns.keys) else None,
        vals=ByteaArray(columns.vals) if _is_filled(columns.vals) else None,
        headers=_column(columns.headers),
        content_types=_column(columns.content_types),
        ends=Int8Array(_add_up(columns.sizes, counts)),
        timestamps=_column(columns.timestamps),
        ids=_column(columns.ids),
    )
    return batch, order


def _add_up(sizes: Sequence[int], counts: list[int]) -> list[int]:
    """The running total of each partition's records."""
    ends: list[int] = []
    for count in counts:
        ends += accumulate(sizes[len(ends) : len(ends) + count])
    return ends


def _column(cells: Sequence[T | None]) -> list[T | None] | None:
    return list(cells) if _is_filled(cells) else None


def _is_filled(cells: Sequence[Any]) -> bool:
    return cells.count(None) < len(cells)


def _append(
    located: rows.Located, columns: Columns, numbers: list[int], touched: list[int], *, using: str
) -> list[Published]:
    """Where each record stands, in the caller's order."""
    known, revision = located.partition_ids, located.revision
    if len(numbers) == 1 and columns.ids[0] is None:
        (number,) = numbers
        *record, _, (size,) = columns
        offset = store.append_one(known[number], [cell for (cell,) in record], size, revision=revision, using=using)
        return [Published(number, offset)]
    batch, order = _group(located, columns, numbers, touched)
    places: list[Published] = []
    if batch.ids:
        back = {id_: number for number, id_ in enumerate(known)}
        answered = store.append_once(batch, revision=revision, using=using)
        places = [Published(back[partition_id], offset, duplicate) for partition_id, offset, duplicate in answered]
    else:
        firsts = store.append(batch, revision=revision, using=using)
        for number, first, count in zip(touched, firsts, batch.counts, strict=True):
            cells = zip(repeat(number), range(first, first + count), repeat(False))
            places += map(new_tuple, repeat(Published), cells)
    if isinstance(order, range):
        return places
    published = places.copy()
    for index, place in zip(order, places, strict=True):
        published[index] = place
    return published


def _announce(topic: str, partitions: list[int], count: int, each: dict[str, Any], *, using: str) -> None:
    """`each`: of each record, in the caller's order, its place, or in a transaction its partition."""
    facts = {"topic": topic, "partitions": partitions, "count": count}
    announce(signals.records_published, using=using, details=each, **facts)
