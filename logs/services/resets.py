"""A group's offsets are moved, live or not."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from logs import rows, selectors, signals, store
from logs.declarations import groups as declared_groups
from logs.errors import LockWaitTooLong, NotSubscribed, ResetBlocked, ResetOvertaken
from mqsite.announce import announce
from mqsite.audit import record_action
from mqsite.errors import Invalid

RESET_SECONDS = 60.0  # how long partitions stay fenced if the process dies between the two halves
WAIT_SECONDS = 30.0  # for handlers' transactions that were fenced in the middle


def reset_offsets(
    group: str,
    to: str | int,
    *,
    actor: str,
    topic: str | None = None,
    partitions: Sequence[int] | None = None,
    reason: str = "",
    using: str = "default",
) -> list[dict[str, Any]]:
    """Move a group's offsets, live or not: `to` is "earliest", "latest" or an offset.

    First the partitions are fenced: a handler's transaction in flight has either passed its last
    statement and finishes, or fails as a whole. Once none is left, one transaction writes the offsets,
    runs the group's `on_reset` and records who did it; members go on from the new place. An offset outside
    a partition's log is clamped to it. Answers what moved, per partition. Not to be called inside
    a transaction.
    """
    if not (to in {"earliest", "latest"} or (isinstance(to, int) and not isinstance(to, bool) and to >= 0)):
        raise Invalid(reason=f"Cannot reset to {to!r}; allowed are 'earliest', 'latest' or an offset from 0 on.")
    with transaction.atomic(using=using, durable=True):
        selectors.require_group(group, using=using)
        fenced = store.fence(
            group, topic=topic, partitions=partitions, holder=f"reset by {actor}", seconds=RESET_SECONDS, using=using
        )
        missing = set(partitions or []) - {f.number for f in fenced}
        if missing or not fenced:
            raise NotSubscribed(group=group, topic=topic or "any topic", partition=min(missing, default="any"))
    try:
        with transaction.atomic(using=using, durable=True):
            return _move(group, to, fenced, actor=actor, reason=reason, using=using)
    except BaseException:
        for held in fenced:
            store.release(held.group_partition_id, epoch=held.epoch, using=using)
        raise


def _move(
    group: str, to: str | int, fenced: list[rows.Fenced], *, actor: str, reason: str, using: str
) -> list[dict[str, Any]]:
    _lock(group, fenced, using=using)
    ends = {b.partition_id: b for b in store.bounds([f.partition_id for f in fenced], using=using)}
    moved = store.reset(fenced, [_goal(to, ends[f.partition_id]) for f in fenced], using=using)
    _run_on_reset(group, fenced, moved)
    results = [
        {"topic": f.topic, "partition": f.number, "from": m.committed, "to": m.target}
        for f, m in zip(fenced, moved, strict=True)
    ]
    facts = {"to": to, "partitions": results}
    record_action(actor=actor, action="reset offsets", subject=group, reason=reason, facts=facts, using=using)
    for topic, targets in _targets(fenced, moved).items():
        announce(signals.offsets_reset, topic=topic, group=group, partitions=list(targets), using=using)
    return results


def _lock(group: str, fenced: list[rows.Fenced], *, using: str) -> None:
    store.limit_lock_wait(seconds=WAIT_SECONDS, using=using)
    try:
        locked = store.lock_fenced(fenced, using=using)
    except LockWaitTooLong as error:
        raise ResetBlocked(group=group, seconds=WAIT_SECONDS) from error
    store.limit_lock_wait(seconds=0, using=using)
    if locked < len(fenced):
        raise ResetOvertaken(group=group)


def _goal(to: str | int, ends: rows.Bounds) -> int:
    if to == "earliest":
        return ends.log_start
    if to == "latest":
        return ends.log_end
    return min(max(int(to), ends.log_start), ends.log_end)


def _run_on_reset(group: str, fenced: list[rows.Fenced], moved: list[rows.Moved]) -> None:
    declared = declared_groups.get(group)
    if declared is None or declared.on_reset is None:
        return
    for topic, targets in _targets(fenced, moved).items():
        declared.on_reset(topic, targets)


def _targets(fenced: list[rows.Fenced], moved: list[rows.Moved]) -> dict[str, dict[int, int]]:
    """Per topic: partition to its new offset."""
    targets: dict[str, dict[int, int]] = {}
    for held, move in zip(fenced, moved, strict=True):
        targets.setdefault(held.topic, {})[held.number] = move.target
    return targets
