"""What this process remembers of topics and of where offsets stand, as every Kafka client does.

Nothing here is trusted: an append names the revision it knew and is refused if the topic has changed
since; a fetch that does not find the very offset it asked for looks again.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from logs import rows, store
from logs.errors import PartitionGone, PartitionNotFound, TopicAltered, TopicNotFound
from mqsite.remembered import Remembered

T = TypeVar("T")

_topics: Remembered[tuple[str, str], rows.Located] = Remembered()
_stretches: Remembered[tuple[str, int], "Stretch"] = Remembered()


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
    _topics.remember((using, topic), located)
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
    look = partial(locate_topic, topic, using=using)
    return _topics.use((using, topic), work, look=look, stale=(TopicAltered, PartitionGone))


def find_segment(partition_id: int, offset: int, *, using: str) -> int | None:
    """The segment an offset stood in when this process last looked."""
    known = _stretches.get((using, partition_id))
    if known is None or offset < known.first or (known.end is not None and offset >= known.end):
        return None
    return known.segment


def remember_segment(partition_id: int, extent: rows.Extent, *, using: str) -> None:
    if extent.found is not None:
        stretch = Stretch(extent.found, extent.next_extent, extent.segment)
        _stretches.remember((using, partition_id), stretch)
