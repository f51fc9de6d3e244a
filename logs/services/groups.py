"""Members of a group hold partitions, commit offsets, and note what failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction

from logs import selectors, signals, store
from logs.errors import Fenced, GroupAlreadyExists, NotSubscribed
from logs.models import ConsumerGroup, GroupPartition, Topic
from mqsite.announce import announce
from mqsite.boundaries import ensure_boundary, require_name
from mqsite.errors import Invalid
from mqsite.payloads import end_of_text

MAX_ERROR_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Assignment:
    """The right of one member to read a partition for a group, while its epoch lasts."""

    group: str
    topic: str
    partition: int
    partition_id: int
    group_partition_id: int
    epoch: int
    position: int  # the next offset to read
    replay_until: int
    attempts: int  # of the record at the position, if it has failed


def create_group(
    name: str, *, owner: str, topics: Sequence[str] = (), start_at: str = "earliest", using: str = "default"
) -> ConsumerGroup:
    """Create a consumer group and let it read topics."""
    require_name(name, "consumer group")
    if start_at not in ConsumerGroup.StartAt.values:
        raise Invalid(reason=f"start_at is {start_at!r}; allowed are 'earliest' and 'latest'.")
    try:
        with transaction.atomic(using=using):
            group = ConsumerGroup.objects.using(using).create(
                name=name, owner=ensure_boundary(owner, using=using), start_at=start_at
            )
    except IntegrityError as error:
        raise GroupAlreadyExists(group=name) from error
    for topic in topics:
        subscribe_group(name, topic, using=using)
    return group


def subscribe_group(group: str, topic: str, *, using: str = "default") -> None:
    """Let a group read a topic, from where `start_at` says. Subscribing again changes nothing."""
    with transaction.atomic(using=using):
        row = selectors.require_group(group, using=using)
        # Whoever adds partitions at the moment is waited for, and waits: none is missed.
        list(Topic.objects.using(using).select_for_update(no_key=True).filter(name=topic).values_list("id"))
        ends = selectors.bounds(topic, using=using)
        for end in ends:
            held, created = GroupPartition.objects.using(using).get_or_create(group=row, partition_id=end.partition_id)
            if created and row.start_at == ConsumerGroup.StartAt.LATEST:
                store.commit_offset(held.id, epoch=held.epoch, offset=end.log_end, using=using)


def acquire_partition(
    group: str,
    topic: str,
    partition: int,
    *,
    member: str,
    seconds: float | None = None,
    using: str = "default",
) -> Assignment | None:
    """Become the one reader of a partition for `seconds`; None while somebody else is, or a retry waits."""
    held = selectors.find_group_partition(group, topic, partition, using=using)
    if held is None:
        raise NotSubscribed(group=group, topic=topic, partition=partition)
    with transaction.atomic(using=using):
        assigned = store.acquire(held.id, member=member, seconds=seconds or settings.MQSITE_MEMBER_SECONDS, using=using)
        if assigned is None:
            return None
        committed, log_start = store.position(held.id, using=using)
    return Assignment(
        group=group,
        topic=topic,
        partition=partition,
        partition_id=held.partition_id,
        group_partition_id=held.id,
        epoch=assigned.epoch,
        position=log_start if committed is None else committed,
        replay_until=assigned.replay_until,
        attempts=assigned.attempts,
    )


def renew_partitions(
    member: str, group_partition_ids: Sequence[int], *, seconds: float | None = None, using: str = "default"
) -> int:
    """Keep what the member reads; how many of these partitions it still holds."""
    return store.renew(
        member,
        group_partition_ids=group_partition_ids,
        seconds=seconds or settings.MQSITE_MEMBER_SECONDS,
        using=using,
    )


def release_partition(assignment: Assignment, *, using: str = "default") -> None:
    """Let go, so that another member need not wait. Nothing happens if the partition was lost already."""
    store.release(assignment.group_partition_id, epoch=assignment.epoch, using=using)


def begin_batch(assignment: Assignment, *, using: str = "default") -> None:
    """The FIRST statement of a handler's transaction: a reset lets it end before it moves anything."""
    if not store.begin_batch(assignment.group_partition_id, epoch=assignment.epoch, using=using):
        raise _fenced(assignment)


def commit_offset(assignment: Assignment, offset: int, *, count: int = 1, using: str = "default") -> None:
    """Commit the NEXT offset to read. In a handler's transaction this must be the last statement."""
    committed = store.commit_offset(assignment.group_partition_id, epoch=assignment.epoch, offset=offset, using=using)
    if not committed:
        raise _fenced(assignment)
    announce(
        signals.offsets_committed,
        topic=assignment.topic,
        group=assignment.group,
        partition=assignment.partition,
        offset=offset,
        count=count,
        using=using,
    )


def commit_checked(group: str, topic: str, partition: int, *, epoch: int, offset: int, using: str = "default") -> None:
    """Commit for a member that kept only its epoch, such as one that came over REST."""
    held = selectors.find_group_partition(group, topic, partition, using=using)
    if held is None:
        raise NotSubscribed(group=group, topic=topic, partition=partition)
    (ends,) = store.bounds([held.partition_id], using=using)
    if not ends.log_start <= offset <= ends.log_end:
        raise selectors.out_of_range(topic, partition, offset, ends)
    assignment = Assignment(group, topic, partition, held.partition_id, held.id, epoch, offset, 0, 0)
    commit_offset(assignment, offset, using=using)


def record_failure(
    assignment: Assignment, offset: int, *, error: str, retry_seconds: float, using: str = "default"
) -> None:
    """Note that the record at `offset` failed, and let go until it is tried again."""
    store.record_failure(
        assignment.group_partition_id,
        epoch=assignment.epoch,
        offset=offset,
        error=end_of_text(error, MAX_ERROR_CHARACTERS),
        retry_seconds=retry_seconds,
        using=using,
    )


def clear_failure(assignment: Assignment, *, using: str = "default") -> None:
    store.clear_failure(assignment.group_partition_id, epoch=assignment.epoch, using=using)


def _fenced(assignment: Assignment) -> Fenced:
    return Fenced(
        group=assignment.group, topic=assignment.topic, partition=assignment.partition, epoch=assignment.epoch
    )
