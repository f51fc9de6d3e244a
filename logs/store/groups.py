"""Statements about groups: who holds what, what is committed, how far behind."""

from collections.abc import Sequence

from logs.rows import (
    Acquired,
    Behind,
    Fenced,
    Holding,
    Lag,
    LagPoint,
    LiveMember,
    Moved,
    Parked,
    Position,
    Resettable,
    Standing,
)
from logs.store.running import run


def acquire(group_partition_ids: Sequence[int], *, member: str, seconds: float, using: str) -> dict[int, int]:
    """Group partition id to its new epoch, of those that were free."""
    ids = list(group_partition_ids)
    return dict(run("acquire", using, group_partition_ids=ids, member=member, seconds=seconds))


def acquire_one(
    group: str,
    topic: str,
    partition: int,
    *,
    boundary: str | None,
    only_unread: bool,
    member: str,
    seconds: float,
    using: str,
) -> Acquired | None:
    """None: the group does not read it."""
    rows = run(
        "acquire_one",
        using,
        group=group,
        topic=topic,
        partition=partition,
        boundary=boundary,
        only_unread=only_unread,
        member=member,
        seconds=seconds,
    )
    if not rows:
        return None
    *standing, partition_id, owner = rows[0]
    return Acquired(None if standing[1] is None else Standing(*standing), standing[0], partition_id, owner)


def position(group_partition_ids: Sequence[int], *, using: str) -> dict[int, Standing]:
    """By group partition id, of those that the group still reads."""
    rows = run("position", using, group_partition_ids=list(group_partition_ids))
    return {row[0]: Standing(*row) for row in rows}


def note_reset(
    group_partition_id: int, *, epoch: int, said: str, reason: str, committed: int, target: int, using: str
) -> None:
    """auto.offset.reset moved a partition past what retention took."""
    run(
        "note_reset",
        using,
        group_partition_id=group_partition_id,
        epoch=epoch,
        said=said,
        reason=reason,
        committed=committed,
        target=target,
    )


def renew(member: str, *, group_partition_ids: Sequence[int], seconds: float, using: str) -> int:
    """How many partitions the member goes on holding."""
    return len(run("renew", using, member=member, group_partition_ids=list(group_partition_ids), seconds=seconds))


def take_again(
    group_partition_id: int,
    *,
    epoch: int,
    position: int,
    boundary: str | None,
    member: str,
    seconds: float,
    using: str,
) -> bool | None:
    """By its last holder: None if it is not that any more, the position is not what is committed, the partition is not
    free or the group is another boundary's; False if nothing is unread."""
    rows = run(
        "take_again",
        using,
        group_partition_id=group_partition_id,
        epoch=epoch,
        position=position,
        boundary=boundary,
        member=member,
        seconds=seconds,
    )
    return None if rows[0][0] is None else bool(rows[0][0])


def release(group_partition_id: int, *, epoch: int, is_soon: bool = False, using: str) -> bool:
    return bool(run("release", using, group_partition_id=group_partition_id, epoch=epoch, is_soon=is_soon))


def begin_batch(group_partition_id: int, *, epoch: int, using: str) -> bool:
    """False = fenced."""
    return bool(run("begin_batch", using, group_partition_id=group_partition_id, epoch=epoch))


def commit_offset(
    group_partition_id: int,
    *,
    epoch: int,
    offset: int,
    metadata: str | None = None,
    is_soon: bool = False,
    using: str,
) -> bool | None:
    """Whether the partition is paused; None = fenced: nothing was written."""
    rows = run(
        "commit_offset",
        using,
        group_partition_id=group_partition_id,
        epoch=epoch,
        offset=offset,
        metadata=metadata,
        is_soon=is_soon,
    )
    return rows[0][0] if rows else None


def commit_offsets(
    group_partition_ids: Sequence[int],
    epochs: Sequence[int],
    offsets: Sequence[int],
    metadata: Sequence[str | None],
    *,
    is_soon: bool,
    using: str,
) -> dict[int, bool]:
    """Group partition id to whether it is paused, of those that are committed; the others are fenced."""
    rows = run(
        "commit_offsets",
        using,
        group_partition_ids=list(group_partition_ids),
        epochs=list(epochs),
        offsets=list(offsets),
        metadata=list(metadata),
        is_soon=is_soon,
    )
    return {id_: is_paused for id_, is_paused, _ in rows}


def keep_groups(group_ids: Sequence[int], *, using: str) -> list[int]:
    """Those that are still there, and cannot be deleted until COMMIT."""
    return [id_ for (id_,) in run("keep_groups", using, group_ids=list(group_ids))]


def record_failure(
    group_partition_id: int, *, epoch: int, offset: int, error: str, retry_seconds: float | None, using: str
) -> int | None:
    """How often the record has failed by now; None = fenced."""
    rows = run(
        "record_failure",
        using,
        group_partition_id=group_partition_id,
        epoch=epoch,
        offset=offset,
        error=error,
        retry_seconds=retry_seconds,
    )
    return rows[0][0] if rows else None


def join(
    group_id: int,
    name: str,
    *,
    is_static: bool,
    topics: Sequence[str] | None,
    client: str,
    session_seconds: float,
    using: str,
) -> int:
    """The member's epoch."""
    rows = run(
        "join",
        using,
        group_id=group_id,
        name=name,
        is_static=is_static,
        topics=None if topics is None else list(topics),
        client=client,
        session_seconds=session_seconds,
    )
    return int(rows[0][0])


def take_over(
    group_id: int, name: str, group_partition_ids: Sequence[int] | None, *, session_seconds: float, using: str
) -> dict[int, int]:
    """What the member still held, of these or at all: group partition id to its new epoch."""
    ids = None if group_partition_ids is None else list(group_partition_ids)
    rows = run(
        "take_over", using, group_id=group_id, name=name, group_partition_ids=ids, session_seconds=session_seconds
    )
    return dict(rows)


def heartbeat(group_id: int, name: str, *, epoch: int, using: str) -> tuple[float, bool] | None:
    """The session's seconds and whether the member is static; None: no such member in this epoch."""
    rows = run("heartbeat", using, group_id=group_id, name=name, epoch=epoch)
    return (rows[0][0], rows[0][1]) if rows else None


def leave(group_id: int, name: str, *, epoch: int, using: str) -> bool:
    return bool(run("leave", using, group_id=group_id, name=name, epoch=epoch))


def members(group_id: int, *, using: str) -> list[LiveMember]:
    return [LiveMember(*row) for row in run("members", using, group_id=group_id)]


def holdings(group_id: int, *, using: str) -> list[Holding]:
    """By topic and number."""
    return [Holding(*row) for row in run("holdings", using, group_id=group_id)]


def forget_members(*, after_seconds: float, limit: int, using: str) -> int:
    return len(run("forget_members", using, after_seconds=after_seconds, limit=limit))


def pause(group_id: int, group_partition_ids: Sequence[int] | None, *, actor: str, reason: str, using: str) -> bool:
    """None for the whole group. False: it was paused already."""
    ids = None if group_partition_ids is None else list(group_partition_ids)
    rows = run("pause", using, group_id=group_id, group_partition_ids=ids, actor=actor, reason=reason)
    return bool(rows[0][0])


def resume(group_id: int, group_partition_ids: Sequence[int] | None, *, using: str) -> bool:
    """None for the whole group. False: it was not paused."""
    ids = None if group_partition_ids is None else list(group_partition_ids)
    return bool(run("resume", using, group_id=group_id, group_partition_ids=ids)[0][0])


def reset_view(group: str, *, using: str) -> list[Resettable]:
    """Every partition the group reads, by topic and number."""
    return [Resettable(*row) for row in run("reset_view", using, group=group)]


def fence(group_partition_ids: Sequence[int], *, holder: str, seconds: float, using: str) -> list[Fenced]:
    """Take partitions of a group away from whoever holds them, by id."""
    rows = run("fence", using, group_partition_ids=list(group_partition_ids), holder=holder, seconds=seconds)
    return sorted((Fenced(*row) for row in rows), key=lambda fenced: fenced.group_partition_id)


def limit_lock_wait(*, seconds: float, using: str) -> None:
    """For the rest of the transaction; 0 waits for ever again."""
    run("limit_lock_wait", using, milliseconds=int(seconds * 1_000))


def lock_fenced(fenced: Sequence[Fenced], *, using: str) -> int:
    """Wait for the handlers' transactions that were fenced; how many partitions are still ours."""
    ids, epochs = [f.group_partition_id for f in fenced], [f.epoch for f in fenced]
    return len(run("lock_fenced", using, group_partition_ids=ids, epochs=epochs))


def reset(targets: dict[int, int], *, reset_id: int, using: str) -> list[Moved]:
    """Move what is fenced and locked: group partition id to target. By id."""
    ids = list(targets)
    rows = run("reset", using, group_partition_ids=ids, targets=list(targets.values()), reset_id=reset_id)
    return [Moved(*row) for row in rows]


def positions(topic_ids: Sequence[int], *, group_id: int | None, using: str) -> list[Position]:
    """Of all groups, or of one."""
    return [Position(*row) for row in run("positions", using, topic_ids=list(topic_ids), group_id=group_id)]


def lags(group_ids: Sequence[int] | None, *, using: str) -> list[Lag]:
    """One row per group and topic, of all groups for None."""
    ids = None if group_ids is None else list(group_ids)
    return [Lag(*row) for row in run("lags", using, group_ids=ids)]


def unsampled(*, using: str) -> list[int]:
    """Ids of groups whose lag was not sampled in this minute."""
    return [row[0] for row in run("unsampled", using)]


def claim_history(*, using: str) -> bool:
    """Become the only one to keep the history until the transaction ends; False: somebody else is."""
    return bool(run("claim_history", using)[0][0])


def sample_lags(group_ids: Sequence[int], *, using: str) -> int:
    """How many samples were taken."""
    return len(run("sample_lags", using, group_ids=list(group_ids)))


def thin_lags(
    *,
    fine_seconds: float,
    kept_seconds: float,
    step_seconds: float,
    slices: int,
    slice_: int,
    limit: int,
    using: str,
) -> int:
    """How many samples went of one slice of the groups and topics: those older than `kept_seconds`, and of those
    older than `fine_seconds` all but the first of each step."""
    rows = run(
        "thin_lags",
        using,
        fine_seconds=fine_seconds,
        kept_seconds=kept_seconds,
        step_seconds=step_seconds,
        slices=slices,
        slice=slice_,
        limit=limit,
    )
    return len(rows)


def lag_history(
    group_id: int, topic_id: int | None, *, seconds: float, step_seconds: float, using: str
) -> list[LagPoint]:
    """Over all topics for None; oldest first."""
    rows = run("lag_history", using, group_id=group_id, topic_id=topic_id, seconds=seconds, step_seconds=step_seconds)
    return [LagPoint(*row) for row in rows]


def behind(groups: Sequence[str], *, limit: int, using: str) -> list[Behind]:
    return [Behind(*row) for row in run("behind", using, groups=list(groups), limit=limit)]


def parked(*, most: int, limit: int, using: str) -> list[Parked]:
    """Of the oldest `most` of each group; the most records come first."""
    return [Parked(*row) for row in run("parked", using, most=most, limit=limit)]


def sweep_commits(*, limit: int, using: str) -> int:
    return len(run("sweep_commits", using, limit=limit))
