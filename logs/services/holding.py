"""One member at a time reads a partition for a group: it acquires the row, commits in its epoch, and lets go."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from django.conf import settings
from django.db import transaction

from logs import rows, selectors, signals, store
from logs.errors import Fenced, MetadataTooLarge, NoOffset, NotSubscribed, OffsetOutOfRange
from logs.policies import EARLIEST, LATEST, NONE, parse_start_policy
from mqsite.announce import announce
from mqsite.boundaries import require_owner
from mqsite.errors import Invalid, MessagingError
from mqsite.payloads import end_of_text, is_storable
from mqsite.sql import in_transaction

MAX_ERROR_CHARACTERS = 10_000
MAX_METADATA_BYTES = 4_096  # Kafka's offset.metadata.max.bytes


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


class Commit(NamedTuple):
    """The NEXT offset to read, by a holder that kept only its epoch."""

    topic: str
    partition: int
    epoch: int
    offset: int
    metadata: str | None = None


def acquire_partition(
    group: str,
    topic: str,
    partition: int,
    *,
    member: str,
    seconds: float | None = None,
    boundary: str | None = None,
    only_unread: bool = False,
    using: str = "default",
) -> Assignment | None:
    """Become the one reader of a partition for `seconds`; None while somebody else is, a retry waits or it is paused,
    or with `only_unread` where there is nothing to read.

    Without a valid committed offset it reads from where the group's auto.offset.reset says; with "none" that is
    refused. So is a group of another boundary, if one is named.
    """
    acquired = store.acquire_one(
        group,
        topic,
        partition,
        boundary=boundary,
        only_unread=only_unread,
        member=member,
        seconds=seconds or settings.MQSITE_MEMBER_SECONDS,
        using=using,
    )
    if acquired is None:
        raise NotSubscribed(group=group, topic=topic, partition=partition)
    if boundary is not None:
        require_owner(acquired.boundary, boundary, verb="reads as", name=group)
    if acquired.standing is None:
        return None
    assignment = _assign(group, topic, partition, acquired.partition_id, acquired.standing)
    try:
        return replace(assignment, position=_find_position(assignment, acquired.standing, using=using))
    except Fenced:
        return None
    except MessagingError:
        release_partition(assignment, using=using)
        raise


def acquire_partitions(
    group: str,
    holdings: Sequence[rows.Holding],
    *,
    member: str,
    seconds: float | None = None,
    using: str = "default",
) -> list[Assignment]:
    """As `acquire_partition`, for several at once; those that are free."""
    wanted = {held.group_partition_id: held for held in holdings}
    seconds = seconds or settings.MQSITE_MEMBER_SECONDS
    with transaction.atomic(using=using):
        epochs = store.acquire(list(wanted), member=member, seconds=seconds, using=using)
        for id_ in selectors.paused_among(list(epochs), using=using):  # since the statement that acquired it began
            store.release(id_, epoch=epochs.pop(id_), using=using)
        taken = [wanted[id_]._replace(owner=member, epoch=epoch) for id_, epoch in sorted(epochs.items())]
        return adopt_partitions(group, taken, using=using) if taken else []


def take_again(
    released: Assignment,
    *,
    member: str,
    seconds: float | None = None,
    boundary: str | None = None,
    using: str = "default",
) -> bool | None:
    """Read on at the position of what this member released and nobody held since: cheaper than to acquire it.

    False: nothing is unread there. None: it must be acquired, which also tells why not: so with a group of another
    boundary, if one is named, and where the position is not what is committed. Not to be called inside a transaction.
    """
    return store.take_again(
        released.group_partition_id,
        epoch=released.epoch,
        position=released.position,
        boundary=boundary,
        member=member,
        seconds=seconds or settings.MQSITE_MEMBER_SECONDS,
        using=using,
    )


def adopt_partitions(group: str, holdings: Sequence[rows.Holding], *, using: str = "default") -> list[Assignment]:
    """What a member holds, with where it goes on reading: at the commit, or where auto.offset.reset says if that is
    not valid. What the log lost before the group read it is written down as a reset. What was deleted or fenced
    meanwhile is left out."""
    standings = store.position([held.group_partition_id for held in holdings], using=using)
    adopted = []
    for held in holdings:
        standing = standings.get(held.group_partition_id)
        if standing is None:
            continue
        assignment = _assign(group, held.topic, held.number, held.partition_id, standing)
        with suppress(Fenced):
            adopted.append(replace(assignment, position=_find_position(assignment, standing, using=using)))
    return adopted


def _assign(group: str, topic: str, partition: int, partition_id: int, standing: rows.Standing) -> Assignment:
    """Its position is still to be found."""
    return Assignment(
        group=group,
        topic=topic,
        partition=partition,
        partition_id=partition_id,
        group_partition_id=standing.group_partition_id,
        epoch=standing.epoch,
        position=0,
        replay_until=standing.replay_until,
        attempts=standing.attempts,
    )


def find_position(assignment: Assignment, *, using: str = "default") -> int:
    """Where the group goes on reading the partition now."""
    standing = store.position([assignment.group_partition_id], using=using).get(assignment.group_partition_id)
    if standing is None:
        raise NotSubscribed(group=assignment.group, topic=assignment.topic, partition=assignment.partition)
    return _find_position(assignment, standing, using=using)


def _find_position(assignment: Assignment, standing: rows.Standing, *, using: str) -> int:
    if standing.committed is not None and standing.log_start <= standing.committed <= standing.log_end:
        return standing.committed
    position = _start_anew(assignment, standing, using=using)
    if standing.committed is not None:
        with transaction.atomic(using=using):
            _note_lost(assignment, standing, standing.committed, position, using=using)
    elif position != standing.log_start:  # the log end moves: what comes before the first commit must not be missed
        _commit_start(assignment, position, using=using)
    return position


def _start_anew(assignment: Assignment, standing: rows.Standing, *, using: str) -> int:
    policy = parse_start_policy(standing.auto_offset_reset)
    place = {"topic": assignment.topic, "partition": assignment.partition}
    if policy.kind == NONE and standing.committed is None:
        raise NoOffset(group=assignment.group, **place)
    if policy.kind == NONE:
        raise OffsetOutOfRange(
            offset=standing.committed, log_start=standing.log_start, log_end=standing.log_end, **place
        )
    if policy.kind == EARLIEST:
        return standing.log_start
    if policy.kind == LATEST:
        return standing.log_end
    ends = rows.Bounds(assignment.partition_id, assignment.partition, standing.log_start, standing.log_end, 0)
    found = selectors.find_start(standing.auto_offset_reset, ends, using=using)
    return standing.log_start if found is None else found


def _note_lost(assignment: Assignment, standing: rows.Standing, committed: int, position: int, *, using: str) -> None:
    """The new position is committed at once: it is written down once, not with every acquisition."""
    _commit_start(assignment, position, using=using)
    said = f"auto.offset.reset {standing.auto_offset_reset}"
    if committed < standing.log_start:
        reason = f"Retention had passed {committed}: the log starts at {standing.log_start}."
    else:  # restored from an older backup, or a commit that somebody made up
        reason = f"{committed} lies beyond the log end, {standing.log_end}."
    store.note_reset(
        assignment.group_partition_id,
        epoch=assignment.epoch,
        said=said,
        reason=reason,
        committed=committed,
        target=position,
        using=using,
    )


def _commit_start(assignment: Assignment, position: int, *, using: str) -> None:
    moved = store.commit_offset(
        assignment.group_partition_id, epoch=assignment.epoch, offset=position, metadata=None, using=using
    )
    if moved is None:
        raise fenced(assignment, using=using)


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
    store.release(assignment.group_partition_id, epoch=assignment.epoch, is_soon=not in_transaction(using), using=using)


def begin_batch(assignment: Assignment, *, using: str = "default") -> None:
    """The FIRST statement of a handler's transaction: a reset lets it end before it moves anything."""
    if not store.begin_batch(assignment.group_partition_id, epoch=assignment.epoch, using=using):
        raise fenced(assignment, using=using)


def commit_offset(
    assignment: Assignment,
    offset: int,
    *,
    metadata: str | None = None,
    count: int = 1,
    is_soon: bool = False,
    using: str = "default",
) -> bool:
    """Commit the NEXT offset to read; False: the partition was paused, so stop here.

    In a handler's transaction this must be the last statement. `metadata`: a note of up to 4,096 bytes that stays
    with the offset. `is_soon`: without waiting for the disk; if the server crashes within a second, records come
    again. Only outside a transaction, whose durability is its author's to decide.
    """
    check_metadata(metadata)
    is_paused = store.commit_offset(
        assignment.group_partition_id,
        epoch=assignment.epoch,
        offset=offset,
        metadata=metadata,
        is_soon=is_soon and not in_transaction(using),
        using=using,
    )
    if is_paused is None:
        raise fenced(assignment, using=using)
    announce_commit(assignment, offset, count=count, using=using)
    return not is_paused


def commit_offsets(
    offsets: Mapping[Assignment, int],
    *,
    metadata: Mapping[Assignment, str | None] | None = None,
    is_soon: bool = False,
    using: str = "default",
) -> dict[Assignment, bool]:
    """Commit several partitions with one statement. Assignment to "may go on", of those that are committed.

    What is missing in the answer was fenced, and is not committed; `fenced` says why.
    """
    notes = metadata or {}
    for note in notes.values():
        check_metadata(note)
    committed = _commit_all(offsets, notes, is_soon=is_soon and not in_transaction(using), using=using)
    going_on = {a: not committed[a.group_partition_id] for a in offsets if a.group_partition_id in committed}
    for assignment in going_on:
        announce_commit(assignment, offsets[assignment], count=1, using=using)
    return going_on


def _commit_all(
    offsets: Mapping[Assignment, int], notes: Mapping[Assignment, str | None], *, is_soon: bool, using: str
) -> dict[int, bool]:
    """Group partition id to whether it is paused, of those that are committed."""
    if len(offsets) == 1:  # the usual case, and scalars cost half of what arrays do
        ((a, offset),) = offsets.items()
        is_paused = store.commit_offset(
            a.group_partition_id, epoch=a.epoch, offset=offset, metadata=notes.get(a), is_soon=is_soon, using=using
        )
        return {} if is_paused is None else {a.group_partition_id: is_paused}
    return store.commit_offsets(
        [a.group_partition_id for a in offsets],
        [a.epoch for a in offsets],
        list(offsets.values()),
        [notes.get(a) for a in offsets],
        is_soon=is_soon,
        using=using,
    )


def announce_commit(assignment: Assignment, offset: int, *, count: int, using: str) -> None:
    announce(
        signals.offsets_committed,
        topic=assignment.topic,
        group=assignment.group,
        partition=assignment.partition,
        offset=offset,
        count=count,
        using=using,
    )


def commit_checked(group: str, commits: Sequence[Commit], *, using: str = "default") -> dict[Assignment, Fenced | None]:
    """As `commit_offsets`, for a member that kept only its epochs, such as one that came over REST: each commit with
    its refusal, or None. What could never be committed is refused before anything is."""
    standing = {(row.topic, row.number): row for row in selectors.choose_partitions(group, using=using)}
    offsets: dict[Assignment, int] = {}
    notes: dict[Assignment, str | None] = {}
    for commit in commits:
        row = standing.get((commit.topic, commit.partition))
        if row is None:
            raise NotSubscribed(group=group, topic=commit.topic, partition=commit.partition)
        if not row.log_start <= commit.offset <= row.log_end:
            ends = {"log_start": row.log_start, "log_end": row.log_end}
            raise OffsetOutOfRange(topic=commit.topic, partition=commit.partition, offset=commit.offset, **ends)
        ids = (row.partition_id, row.group_partition_id)
        assignment = Assignment(group, commit.topic, commit.partition, *ids, commit.epoch, commit.offset, 0, 0)
        offsets[assignment], notes[assignment] = commit.offset, commit.metadata
    going_on = commit_offsets(offsets, metadata=notes, using=using)
    return {a: None if a in going_on else fenced(a, using=using) for a in offsets}


def check_metadata(metadata: str | None) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, str) or not is_storable(metadata):
        raise Invalid(reason="The metadata of a commit is text that UTF-8 can write, without NUL.")
    size = len(metadata.encode())
    if size > MAX_METADATA_BYTES:
        raise MetadataTooLarge(size=size, limit=MAX_METADATA_BYTES)


def record_failure(
    assignment: Assignment, offset: int, *, error: str, retry_seconds: float | None, using: str = "default"
) -> None:
    """Note that the record at `offset` failed, and let go until it is tried again; None: until somebody says so."""
    store.record_failure(
        assignment.group_partition_id,
        epoch=assignment.epoch,
        offset=offset,
        error=end_of_text(error, MAX_ERROR_CHARACTERS),
        retry_seconds=retry_seconds,
        using=using,
    )


def fenced(assignment: Assignment, *, using: str = "default") -> Fenced:
    """The refusal, with what happened."""
    what = selectors.explain_fencing(assignment.group_partition_id, assignment.epoch, using=using)
    return Fenced(
        group=assignment.group,
        topic=assignment.topic,
        partition=assignment.partition,
        epoch=assignment.epoch,
        what=what,
    )
