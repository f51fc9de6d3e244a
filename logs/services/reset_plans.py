"""Where a reset would move a group, partition by partition, before anything moves. The plan's token pins it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core import signing

from logs import rows, selectors, store
from logs.errors import GroupNotPaused, NotSubscribed, PlanOutdated
from logs.models import Reset, ResetMove
from logs.policies import MAX_DURATION, parse_iso_duration
from mqsite import sql
from mqsite.errors import Invalid, NotFound

TOKEN_SECONDS = 3_600
MAX_FILE_ROWS = 10_000
SALT = "logs.reset"

#: What a mode makes of a partition: the offset it wants, and a warning or "".
Aim = Callable[[rows.Resettable], tuple[int, str]]


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """One partition of a plan. `current`: the committed offset, None if there is none."""

    topic: str
    partition: int
    current: int | None
    new: int
    records_to_replay: int
    records_to_skip: int
    clamped: str  # "log start", "log end" or ""
    warning: str
    group_partition_id: int
    reset_epoch: int


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset would do. `token` is what `execute_reset` takes: it writes exactly these offsets or nothing."""

    group: str
    mode: str
    says: str
    moves: list[PlannedMove]
    warnings: list[str]
    token: str

    @property
    def records_to_replay(self) -> int:
        return sum(move.records_to_replay for move in self.moves)

    @property
    def records_to_skip(self) -> int:
        return sum(move.records_to_skip for move in self.moves)


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a token says."""

    group: str
    mode: str
    says: str
    undoes: int | None
    targets: dict[int, int]  # group partition id to offset
    reset_epochs: dict[int, int]
    partition_counts: dict[str, int]  # by topic


def plan_reset(
    group: str,
    mode: str,
    value: Any = None,
    *,
    topics: Mapping[str, Sequence[int] | None] | None = None,
    using: str = "default",
) -> ResetPlan:
    """Work out a reset, and move nothing.

    `mode` and its `value`: "to-earliest", "to-latest", "to-current"; "to-offset" (an offset), "to-datetime" (with a
    time zone), "by-duration" (ISO 8601 such as "PT12H", or a timedelta), "shift-by" (a number, may be negative),
    "from-file" (lines `topic,partition,offset`, or such triples), "from-group" (a group's name), "skip-one" (None, or
    the offset that is meant). `topics`: topic to its partitions (None: all); without it all that the group reads.
    """
    chosen = _choose(group, topics, using=using)
    if mode == "from-file":
        wanted = _read_file(value)
        chosen = [row for row in chosen if (row.topic, row.number) in wanted]
        if missing := sorted(wanted.keys() - {(row.topic, row.number) for row in chosen}):
            raise NotSubscribed(group=group, topic=missing[0][0], partition=missing[0][1])
        value = wanted
    if mode not in MODES:
        raise Invalid(reason=f"There is no mode {mode!r} of reset; allowed are {', '.join(MODES)}.")
    if mode in RELATIVE_MODES and (moving := [row for row in chosen if not row.is_paused]):
        places = ", ".join(f"{row.topic}-{row.number}" for row in moving)
        raise GroupNotPaused(mode=mode, group=group, partitions=places)
    says, aim = MODES[mode](value, group, chosen, using)
    return _make_plan(group, mode, says, [(row, *aim(row)) for row in chosen], using=using)


def plan_undo(reset_id: int, *, using: str = "default") -> ResetPlan:
    """A reset back to where a recorded one found the group. Where it had no commit, to where it would have begun."""
    undone = Reset.objects.using(using).select_related("group").filter(id=reset_id).first()
    if undone is None:
        raise NotFound(what=f"Reset {reset_id}")
    before = dict(ResetMove.objects.using(using).filter(reset=undone).values_list("group_partition_id", "position"))
    chosen = [row for row in store.reset_view(undone.group.name, using=using) if row.group_partition_id in before]
    if not chosen:
        raise Invalid(reason=f"Nothing of reset {reset_id} is left to undo: {undone.group.name} no longer reads it.")
    says = f"back to before reset {reset_id}"
    return _make_plan(
        undone.group.name,
        "undo",
        says,
        [(row, before[row.group_partition_id], "") for row in chosen],
        undoes=reset_id,
        using=using,
    )


def read_token(token: str) -> Pinned:
    try:
        said = signing.loads(token, salt=SALT, max_age=TOKEN_SECONDS)
    except signing.SignatureExpired as error:
        raise PlanOutdated(what="it is more than an hour old") from error
    except signing.BadSignature as error:
        raise Invalid(reason="This is no plan token of this installation.") from error
    moves = said["moves"]
    return Pinned(
        group=said["group"],
        mode=said["mode"],
        says=said["says"],
        undoes=said["undoes"],
        targets={id_: target for id_, target, _ in moves},
        reset_epochs={id_: epoch for id_, _, epoch in moves},
        partition_counts=said["counts"],
    )


def require_current(pinned: Pinned, view: Sequence[rows.Resettable]) -> None:
    """Refuse a plan that something has overtaken. Ordinary progress of the group does not."""
    present = {row.group_partition_id: row for row in view}
    for topic, count in pinned.partition_counts.items():
        row = next((row for row in view if row.topic == topic), None)
        if row is None:
            raise PlanOutdated(what=f"{pinned.group} does not read {topic} any more")
        if row.partition_count != count:
            raise PlanOutdated(what=f"{topic} has {row.partition_count} partitions now, {count} when it was made")
    for id_, target in pinned.targets.items():
        row = present.get(id_)
        if row is None:
            raise PlanOutdated(what=f"{pinned.group} does not read one of its partitions any more")
        if row.reset_epoch != pinned.reset_epochs[id_]:
            raise PlanOutdated(what=f"another reset moved {row.topic}-{row.number} meanwhile")
        if target < row.log_start:
            passed = f"the log start of {row.topic}-{row.number} passed the target {target}: it is {row.log_start} now"
            raise PlanOutdated(what=passed)


def _choose(group: str, topics: Mapping[str, Sequence[int] | None] | None, *, using: str) -> list[rows.Resettable]:
    if topics is None:
        chosen = selectors.choose_partitions(group, using=using)
        if not chosen:
            raise Invalid(reason=f"Group {group} reads no topic yet: there is nothing to reset.")
        return chosen
    if not topics:
        raise Invalid(reason="No topic was chosen.")
    return [
        row
        for topic, partitions in topics.items()
        for row in selectors.choose_partitions(group, topic=topic, partitions=partitions, using=using)
    ]


def _make_plan(
    group: str,
    mode: str,
    says: str,
    aims: Sequence[tuple[rows.Resettable, int, str]],
    *,
    undoes: int | None = None,
    using: str,
) -> ResetPlan:
    moves = [_plan_move(row, wanted, warning) for row, wanted, warning in aims]
    said = {
        "group": group,
        "mode": mode,
        "says": says,
        "undoes": undoes,
        "moves": [(move.group_partition_id, move.new, move.reset_epoch) for move in moves],
        "counts": {row.topic: row.partition_count for row, _, _ in aims},
    }
    warnings = []
    if selectors.find_active(selectors.require_group(group, using=using), using=using):
        live = "The group is live: what its members are at is fenced, and they go on from the new place."
        warnings.append(live)
    skipped = sum(move.records_to_skip for move in moves)
    if skipped:
        warnings.append(f"{skipped:,} records that the group never read will be skipped.")
    parked = selectors.count_parked(group, using=using)
    if parked:
        warnings.append(f"What is parked stays parked ({parked:,}): retry or drop it by itself.")
    return ResetPlan(group, mode, says, moves, warnings, signing.dumps(said, salt=SALT, compress=True))


def _plan_move(row: rows.Resettable, wanted: int, warning: str) -> PlannedMove:
    new = min(max(wanted, row.log_start), row.log_end)
    clamped = "" if new == wanted else "log start" if new > wanted else "log end"
    if clamped and not warning:
        side = "lower than the log start" if clamped == "log start" else "higher than the log end"
        warning = f"{wanted:,} is {side}: {new:,} is taken."
    return PlannedMove(
        topic=row.topic,
        partition=row.number,
        current=row.committed,
        new=new,
        records_to_replay=max(0, row.position - new),
        records_to_skip=max(0, new - row.position),
        clamped=clamped,
        warning=warning,
        group_partition_id=row.group_partition_id,
        reset_epoch=row.reset_epoch,
    )


def _aim_earliest(value: Any, *_: Any) -> tuple[str, Aim]:
    _require_none("to-earliest", value)
    return "to the log start", lambda row: (row.log_start, "")


def _aim_latest(value: Any, *_: Any) -> tuple[str, Aim]:
    _require_none("to-latest", value)
    return "to the log end", lambda row: (row.log_end, "")


def _aim_current(value: Any, *_: Any) -> tuple[str, Aim]:
    _require_none("to-current", value)

    def aim(row: rows.Resettable) -> tuple[int, str]:
        if row.committed is None:
            return row.log_end, "No offset is committed: the log end is taken."
        return row.committed, ""

    return "to where it stands", aim


def _aim_offset(value: Any, *_: Any) -> tuple[str, Aim]:
    offset = _require_number("to-offset", value, least=0)
    return f"to offset {offset}", lambda row: (offset, "")


def _aim_datetime(value: Any, group: str, chosen: Sequence[rows.Resettable], using: str) -> tuple[str, Aim]:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Invalid(reason=f"to-datetime takes a time with a time zone, not {value!r}.")
    return f"to {value.isoformat()}", _aim_at(value, using)


def _aim_duration(value: Any, group: str, chosen: Sequence[rows.Resettable], using: str) -> tuple[str, Aim]:
    duration = value if isinstance(value, timedelta) else parse_iso_duration(str(value))
    if duration is None or not timedelta() <= duration <= MAX_DURATION:
        raise Invalid(reason=f"by-duration takes an ISO 8601 duration such as PT12H or P2D, not {value!r}.")
    return f"back by {value}", _aim_at(sql.now(using) - duration, using)


def _aim_at(time: datetime, using: str) -> Aim:
    def aim(row: rows.Resettable) -> tuple[int, str]:
        found = store.offset_for_time(row.partition_id, time, using=using)
        if found is None:
            return row.log_end, "No record at or after this time: it goes to the log end."
        return found, ""

    return aim


def _aim_shift(value: Any, *_: Any) -> tuple[str, Aim]:
    shift = _require_number("shift-by", value)

    def aim(row: rows.Resettable) -> tuple[int, str]:
        if row.committed is None:
            place = f"{row.topic}-{row.number}"
            raise Invalid(reason=f"Cannot shift the offset of {place}: there is no current committed offset.")
        return row.position + shift, ""

    return f"by {shift:+}", aim


def _aim_skip(value: Any, group: str, chosen: Sequence[rows.Resettable], using: str) -> tuple[str, Aim]:
    if len(chosen) != 1:
        raise Invalid(reason=f"skip-one takes exactly one partition; {len(chosen)} are chosen.")
    (row,) = chosen
    if value is not None and _require_number("skip-one", value, least=0) != row.position:
        raise Invalid(reason=f"{group} is at {row.position} of {row.topic}-{row.number}, not at {value}.")
    if row.position >= row.log_end:
        raise Invalid(reason=f"{group} has read {row.topic}-{row.number} to its end: there is nothing to skip.")
    return f"over record {row.position}", lambda row: (row.position + 1, "")


def _aim_file(value: Any, *_: Any) -> tuple[str, Aim]:
    return "to the offsets of a file", lambda row: (value[row.topic, row.number], "")


def _aim_group(value: Any, group: str, chosen: Sequence[rows.Resettable], using: str) -> tuple[str, Aim]:
    if not isinstance(value, str):
        raise Invalid(reason=f"from-group takes the name of a group, not {value!r}.")
    there = {row.partition_id: row for row in selectors.choose_partitions(value, using=using)}

    def aim(row: rows.Resettable) -> tuple[int, str]:
        other = there.get(row.partition_id)
        if other is None:
            raise NotSubscribed(group=value, topic=row.topic, partition=row.number)
        return other.position, "" if other.committed is not None else f"{value} has not started there."

    return f"to where {value} is", aim


MODES: dict[str, Callable[[Any, str, Sequence[rows.Resettable], str], tuple[str, Aim]]] = {
    "to-earliest": _aim_earliest,
    "to-latest": _aim_latest,
    "to-offset": _aim_offset,
    "to-datetime": _aim_datetime,
    "by-duration": _aim_duration,
    "shift-by": _aim_shift,
    "to-current": _aim_current,
    "from-file": _aim_file,
    "from-group": _aim_group,
    "skip-one": _aim_skip,
}
RELATIVE_MODES = {"shift-by", "to-current", "skip-one"}


def _require_none(mode: str, value: Any) -> None:
    if value is not None:
        raise Invalid(reason=f"{mode} takes no value, not {value!r}.")


def _require_number(mode: str, value: Any, *, least: int | None = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        wanted = "a whole number" if least is None else f"a whole number from {least} on"
        raise Invalid(reason=f"{mode} takes {wanted}, not {value!r}.")
    return value


def _read_file(value: Any) -> dict[tuple[str, int], int]:
    """(topic, partition) to offset, of Kafka's lines `topic,partition,offset` or of triples."""
    given = (line.split(",") for line in value.splitlines()) if isinstance(value, str) else value
    lines = [line for line in given if line and line != [""]] if isinstance(given, Iterable) else []
    if not 1 <= len(lines) <= MAX_FILE_ROWS:
        raise Invalid(
            reason=f"from-file takes 1 to {MAX_FILE_ROWS:,} lines `topic,partition,offset`, not {len(lines):,}."
        )
    wanted: dict[tuple[str, int], int] = {}
    for number, line in enumerate(lines, start=1):
        try:
            topic, partition, offset = line
            place = (str(topic).strip(), int(partition))
            target = int(offset)
        except (TypeError, ValueError) as error:
            raise Invalid(reason=f"Line {number} is {line!r}, not `topic,partition,offset`.") from error
        if target < 0 or place in wanted:
            wrong = "its offset is negative" if target < 0 else "its partition came before"
            raise Invalid(reason=f"Line {number} is {line!r}: {wrong}.")
        wanted[place] = target
    return wanted
