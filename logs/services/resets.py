"""A group's offsets are moved, live or not, exactly as a plan says."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from logs import rows, selectors, signals, store
from logs.declarations import groups as declared_groups
from logs.errors import LockWaitTooLong, NonEmptyGroup, ResetBlocked, ResetOvertaken
from logs.models import Reset
from logs.services.reset_plans import Pinned, plan_reset, read_token, require_current
from mqsite.announce import announce
from mqsite.audit import record_action, require_reason
from mqsite.errors import Invalid

RESET_SECONDS = 60.0  # how long partitions stay fenced if the process dies between the two halves
WAIT_SECONDS = 30.0  # for handlers' transactions that were fenced in the middle
FENCE, REFUSE = "fence", "refuse"


def reset_offsets(
    group: str,
    mode: str,
    value: Any = None,
    *,
    actor: str,
    topics: Mapping[str, Sequence[int] | None] | None = None,
    reason: str = "",
    if_active: str = FENCE,
    using: str = "default",
) -> dict[str, Any]:
    """Plan a reset and execute it at once: see `plan_reset` and `execute_reset`."""
    plan = plan_reset(group, mode, value, topics=topics, using=using)
    return execute_reset(plan.token, actor=actor, reason=reason, if_active=if_active, using=using)


def execute_reset(
    token: str, *, actor: str, reason: str = "", if_active: str = FENCE, using: str = "default"
) -> dict[str, Any]:
    """Move a group's offsets to what a plan shows, live or not. Not to be called inside a transaction.

    First the partitions are fenced: a handler's transaction in flight has either passed its last
    statement and finishes, or fails as a whole. Once none is left, one transaction writes the offsets,
    runs the group's `on_reset` and records who did it; members go on from the new place.

    `if_active`: "fence", or "refuse" as Kafka does while anybody reads for the group. Answers
    `{"id", "group", "mode", "says", "partitions": [{"topic", "partition", "from", "to"}]}`; the id is what
    `plan_undo` takes.
    """
    if if_active not in {FENCE, REFUSE}:
        raise Invalid(reason=f"if_active is {if_active!r}; allowed are '{FENCE}' and '{REFUSE}'.")
    require_reason(reason)
    pinned = read_token(token)
    with transaction.atomic(using=using, durable=True):
        group = selectors.require_group(pinned.group, using=using)
        require_current(pinned, store.reset_view(pinned.group, using=using))
        fenced = store.fence(
            sorted(pinned.targets), holder=f"{selectors.RESETTING}{actor}", seconds=RESET_SECONDS, using=using
        )
        if if_active == REFUSE:
            _refuse_active(pinned.group, fenced, selectors.find_active(group, using=using), actor)
    try:
        with transaction.atomic(using=using, durable=True):
            return _move(group.id, pinned, fenced, actor=actor, reason=reason, using=using)
    except BaseException:
        for held in fenced:
            store.release(held.group_partition_id, epoch=held.epoch, using=using)
        raise


def _refuse_active(group: str, fenced: list[rows.Fenced], members: list[str], actor: str) -> None:
    """Decided under the locks, which the refusal then gives back with everything else."""
    present = {held.holder for held in fenced if held.holder}.union(members) - {f"{selectors.RESETTING}{actor}"}
    if present:
        raise NonEmptyGroup(
            group=group,
            members=", ".join(sorted(present)),
            what="Nothing was moved: stop them, or reset with if_active=fence.",
        )


def _move(
    group_id: int, pinned: Pinned, fenced: list[rows.Fenced], *, actor: str, reason: str, using: str
) -> dict[str, Any]:
    _lock(pinned.group, fenced, using=using)
    view = {row.group_partition_id: row for row in store.reset_view(pinned.group, using=using)}
    require_current(pinned, list(view.values()))
    noted = Reset.objects.using(using).create(
        group_id=group_id,
        actor=actor,
        mode=pinned.mode,
        said=pinned.says,
        reason=reason,
        undoes_id=pinned.undoes,
    )
    moved = store.reset(dict(sorted(pinned.targets.items())), reset_id=noted.id, using=using)
    targets = _by_topic(moved, view)
    _run_on_reset(pinned.group, targets)
    partitions = [
        {
            "topic": view[m.group_partition_id].topic,
            "partition": view[m.group_partition_id].number,
            "from": m.committed,
            "to": m.target,
        }
        for m in moved
    ]
    facts = {"reset": noted.id, "to": pinned.says, "partitions": partitions}
    record_action(actor=actor, action="reset offsets", subject=pinned.group, reason=reason, facts=facts, using=using)
    for topic, numbers in targets.items():
        announce(signals.offsets_reset, topic=topic, group=pinned.group, partitions=list(numbers), using=using)
    return {
        "id": noted.id,
        "group": pinned.group,
        "mode": pinned.mode,
        "says": pinned.says,
        "partitions": partitions,
    }


def _lock(group: str, fenced: list[rows.Fenced], *, using: str) -> None:
    store.limit_lock_wait(seconds=WAIT_SECONDS, using=using)
    try:
        locked = store.lock_fenced(fenced, using=using)
    except LockWaitTooLong as error:
        raise ResetBlocked(group=group, seconds=WAIT_SECONDS) from error
    store.limit_lock_wait(seconds=0, using=using)
    if locked < len(fenced):
        raise ResetOvertaken(group=group)


def _run_on_reset(group: str, targets: dict[str, dict[int, int]]) -> None:
    declared = declared_groups.get(group)
    if declared is None or declared.on_reset is None:
        return
    for topic, offsets in targets.items():
        declared.on_reset(topic, offsets)


def _by_topic(moved: list[rows.Moved], view: dict[int, rows.Resettable]) -> dict[str, dict[int, int]]:
    """Per topic: partition to its new offset."""
    targets: dict[str, dict[int, int]] = {}
    for move in moved:
        row = view[move.group_partition_id]
        targets.setdefault(row.topic, {})[row.number] = move.target
    return targets
