"""Topics come, change and go."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from logs import selectors, store
from logs.configs import parse_configs, read_configs
from logs.declarations import MAX_PARTITIONS
from logs.errors import PartitionNotFound, PartitionsCannotShrink, TopicAlreadyExists, TopicNotFound
from logs.models import GroupPartition, Partition, PublishedId, Topic
from mqsite.audit import record_action
from mqsite.boundaries import ensure_boundary, require_name
from mqsite.errors import Invalid
from mqsite.words import say_counted

LOG_END = -1  # Kafka's high watermark in delete-records


def create_topic(
    name: str,
    *,
    owner: str,
    partitions: int = 1,
    description: str = "",
    configs: Mapping[str, Any] | None = None,
    using: str = "default",
) -> Topic:
    """Create a topic with its partitions. `configs`: Kafka's names, such as `{"retention.ms": -1}`."""
    require_name(name, "topic")
    _require_count(partitions)
    columns = parse_configs(configs or {})
    try:
        with transaction.atomic(using=using):
            topic = Topic.objects.using(using).create(
                name=name, owner=ensure_boundary(owner, using=using), description=description, **columns
            )
            _add(topic, range(partitions), using=using)
    except IntegrityError as error:
        raise TopicAlreadyExists(topic=name) from error
    return topic


def alter_topic(
    name: str,
    *,
    configs: Mapping[str, Any] | None = None,
    description: str | None = None,
    actor: str,
    reason: str = "",
    using: str = "default",
) -> Topic:
    """Change what `configs` names, at once and for every publisher; None puts one back to its default."""
    columns = parse_configs(configs or {})
    if description is not None:
        columns["description"] = description
    with transaction.atomic(using=using):
        topic = _lock_topic(name, using=using)
        before = _read(topic)
        for field, value in columns.items():
            setattr(topic, field, value)
        topic.revision = uuid.uuid4()
        topic.save(using=using)
        _adopt(topic, using=using)
        changed = {key: [before[key], value] for key, value in _read(topic).items() if value != before[key]}
        record_action(
            actor=actor, action="alter topic", subject=name, reason=reason, facts={"changed": changed}, using=using
        )
    return topic


def change_topic(
    name: str,
    *,
    configs: Mapping[str, Any] | None = None,
    description: str | None = None,
    partitions: int | None = None,
    actor: str,
    reason: str = "",
    using: str = "default",
) -> str:
    """`alter_topic` and `add_partitions` as one: both or neither. Answers the latter's sentence."""
    with transaction.atomic(using=using):
        if configs or description is not None:
            alter_topic(name, configs=configs, description=description, actor=actor, reason=reason, using=using)
        if partitions is None:
            return ""
        return add_partitions(name, partitions, actor=actor, reason=reason, using=using)


def add_partitions(name: str, total: int, *, actor: str, reason: str = "", using: str = "default") -> str:
    """Grow a topic to `total` partitions; answers a sentence that says what that means for its keys, or "" if it
    has as many already.

    Every group that reads the topic starts at offset 0 of the new ones, in the same transaction.
    """
    _require_count(total)
    with transaction.atomic(using=using):
        topic = _lock_topic(name, using=using)
        present = topic.partitions.count()
        if total < present:
            raise PartitionsCannotShrink(topic=name, partitions=present, wanted=total)
        if total == present:
            return ""
        topic.revision = uuid.uuid4()
        topic.save(using=using)
        readers = GroupPartition.objects.using(using).filter(partition__topic=topic)
        groups = store.keep_groups(list(readers.values_list("group_id", flat=True).distinct()), using=using)
        added = _add(topic, range(present, total), using=using)
        _adopt(topic, using=using)
        _start_groups(groups, added, using=using)
        facts = {"from": present, "to": total, "groups": len(groups)}
        record_action(actor=actor, action="add partitions", subject=name, reason=reason, facts=facts, using=using)
    said = (
        f"{name} has {total} partitions now, {present} before. Keys move: a key's new records may go to another "
        "partition than its old ones, so its order across the change is lost."
    )
    readers_start = say_counted(len(groups), "group starts", "groups start")
    return f"{said} {readers_start} at offset 0 of the new partitions." if groups else said


def delete_records(
    topic: str, before: Mapping[int, int], *, actor: str, reason: str = "", using: str = "default"
) -> dict[int, int]:
    """Delete the records of partitions before an offset (-1: all there are); the new log start of each.

    From the commit on nobody reads them; the space comes back with the upkeep.
    """
    with transaction.atomic(using=using):
        ends = {b.number: b for b in selectors.bounds(topic, using=using)}
        targets = {}
        for number, offset in before.items():
            if number not in ends:
                raise PartitionNotFound(topic=topic, partition=number, last=len(ends) - 1)
            target = ends[number].log_end if offset == LOG_END else offset
            if not 0 <= target <= ends[number].log_end:
                raise selectors.out_of_range(topic, number, offset, ends[number])
            targets[ends[number].partition_id] = target
        moved = store.move_log_start(targets, using=using)
        starts = {number: moved[ends[number].partition_id] for number in before}
        facts = {"log_start": starts, "before": {number: ends[number].log_start for number in before}}
        record_action(actor=actor, action="delete records", subject=topic, reason=reason, facts=facts, using=using)
    return starts


def delete_topic(name: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    """Delete a topic, its records and every group's offsets on it. Publishers to it fail as a whole.

    Nobody reads it from the commit on; the space comes back with the upkeep.
    """
    with transaction.atomic(using=using):
        topic = _lock_topic(name, using=using)
        # Readers' rows, then publishers', each by id: the order of a handler that publishes. No circle can form.
        readers = GroupPartition.objects.using(using).filter(partition__topic=topic)
        list(readers.select_for_update(of=("self",)).order_by("id").values_list("id"))
        partitions = Partition.objects.using(using).filter(topic=topic)
        ids = list(partitions.select_for_update(of=("self",)).order_by("id").values_list("id", flat=True))
        store.note_deleted(ids, using=using)
        PublishedId.objects.using(using).filter(topic_id=topic.id)._raw_delete(using)
        topic.delete(using=using)
        record_action(actor=actor, action="delete topic", subject=name, reason=reason, using=using)


def _read(topic: Topic) -> dict[str, Any]:
    return {"description": topic.description, **read_configs(topic)}


def _require_count(partitions: int) -> None:
    if not isinstance(partitions, int) or not 1 <= partitions <= MAX_PARTITIONS:
        raise Invalid(reason=f"partitions is {partitions!r}; allowed are 1 to {MAX_PARTITIONS}.")


def _lock_topic(name: str, *, using: str) -> Topic:
    """FOR UPDATE: whoever subscribes a group at the moment is waited for, and waits."""
    topic = Topic.objects.using(using).select_for_update(of=("self",)).filter(name=name).first()
    if topic is None:
        raise TopicNotFound(topic=name)
    return topic


def _add(topic: Topic, numbers: range, *, using: str) -> list[Partition]:
    new = [
        Partition(topic=topic, number=number, revision=topic.revision, hash_keys=selectors.indexes_keys(topic))
        for number in numbers
    ]
    return Partition.objects.using(using).bulk_create(new)


def _adopt(topic: Topic, *, using: str) -> None:
    """The partitions take over what publishers find there. From the log end on, where keys were not hashed before.

    Locked by a statement of its own: only the next one sees the log end that the publishers it waited for left.
    """
    partitions = Partition.objects.using(using).filter(topic=topic).order_by("id")
    list(partitions.select_for_update(no_key=True, of=("self",)).values_list("id"))
    store.adopt_topic(topic.id, revision=topic.revision, hash_keys=selectors.indexes_keys(topic), using=using)


def _start_groups(groups: list[int], added: list[Partition], *, using: str) -> None:
    rows = [GroupPartition(group_id=group, partition=partition) for group in groups for partition in added]
    for row in GroupPartition.objects.using(using).bulk_create(rows):
        store.commit_offset(row.id, epoch=row.epoch, offset=0, using=using)
