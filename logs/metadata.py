"""What this process remembers of topics and of where offsets stand, as every Kafka client does.

Nothing here is trusted: an append names the revision it knew and is refused if the topic has changed
since; a fetch that does not find the very offset it asked for looks again.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from logs import rows, store
from logs.errors import PartitionGone, PartitionNotFound, TopicAltered, TopicNotFound
from mqsite.errors import DiskFull, MessagingError, ReadCommittedRequired

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

MAX_REMEMBERED = 50_000
MAX_LOOKS = 10  # at a topic that is altered all the time

_topics: dict[tuple[str, str], rows.Located] = {}
_stretches: dict[tuple[str, int], "Stretch"] = {}


class Stretch(NamedTuple):
    """Offsets of a partition known to stand in one segment."""

    first: int
    end: int | None  # None: up to the log end, as far as is known
    segment: int


def locate_topic(topic: str, *, using: str) -> rows.Located:
    """A fresh look."""
    located = store.locate(topic, using=using)
    if located is None:
        _topics.pop((using, topic), None)
        raise TopicNotFound(topic=topic)
    _remember(_topics, (using, topic), located)
    return located


def locate_partition(topic: str, partition: int, *, using: str) -> int:
    """The id of one partition by a fresh look, or a refusal that says which there are."""
    return pick_partition(locate_topic(topic, using=using), topic, partition)


def pick_partition(located: rows.Located, topic: str, partition: int) -> int:
    ids = located.partition_ids
    if not 0 <= partition < len(ids):
        raise PartitionNotFound(topic=topic, partition=partition, last=len(ids) - 1)
    return ids[partition]


def use_topic(topic: str, work: Callable[[rows.Located], T], *, using: str) -> T:
    """`work` with what is remembered of the topic. A refusal may rest on what has changed: look and try again."""
    remembered = _topics.get((using, topic))
    if remembered is not None:
        try:
            return work(remembered)
        except MessagingError as error:
            if isinstance(error, ReadCommittedRequired | DiskFull):
                raise
    for _ in range(MAX_LOOKS - 1):
        try:
            return work(locate_topic(topic, using=using))
        except (TopicAltered, PartitionGone):
            continue
    return work(locate_topic(topic, using=using))


def find_segment(partition_id: int, offset: int, *, using: str) -> int | None:
    """The segment an offset stood in when this process last looked."""
    known = _stretches.get((using, partition_id))
    if known is None or offset < known.first or (known.end is not None and offset >= known.end):
        return None
    return known.segment


def remember_segment(partition_id: int, extent: rows.Extent, *, using: str) -> None:
    if extent.found is not None:
        stretch = Stretch(extent.found, extent.next_extent, extent.segment)
        _remember(_stretches, (using, partition_id), stretch)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()
    memory[key] = value
