"""Shapes of consumer groups over REST."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from logs.configs import MAX_BIGINT
from logs.selectors.groups import MAX_SHOWN_RESETS
from logs.services import Assignment, ResetPlan
from logs.services.reading import MAX_FETCH_BYTES, MAX_FETCH_RECORDS
from logs.services.reset_plans import MAX_FILE_ROWS
from logs.services.resets import FENCE, REFUSE
from mqsite.boundaries import require_name
from mqsite.errors import Invalid
from mqsite.fields import NamedFields, SecondsField, read_time, reason_field
from mqsite.long_poll import MAX_WAIT_SECONDS

MAX_TOPICS = 1_000
MAX_PLACES = 1_000  # partitions that one request names
MAX_FILE_CHARACTERS = 3_000_000  # of MAX_FILE_ROWS lines with long names
MAX_TOKEN_CHARACTERS = 3_000_000

# The field that holds a mode's value; of two, one of them. A mode that is not here has none.
VALUE_FIELDS: dict[str, tuple[str, ...]] = {
    "to-offset": ("offset",),
    "to-datetime": ("datetime",),
    "by-duration": ("duration",),
    "shift-by": ("shift_by",),
    "from-file": ("file", "offsets"),
    "from-group": ("from_group",),
    "skip-one": ("offset",),
}
MODES_WITH_OPTIONAL_VALUE = {"skip-one"}


def name_field(**more: Any) -> serializers.CharField:
    return serializers.CharField(max_length=249, **more)


def bigint_field(*, least: int = 0, **more: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=least, max_value=MAX_BIGINT, **more)


def topics_field(**more: Any) -> serializers.ListField:
    return serializers.ListField(child=name_field(), max_length=MAX_TOPICS, **more)


class Place(NamedFields):
    """One partition of a topic."""

    topic = name_field()
    partition = bigint_field()


class GroupInput(NamedFields):
    name = name_field()
    topics = topics_field(default=list)
    auto_offset_reset = serializers.CharField(default="earliest")


class GroupChange(NamedFields):
    auto_offset_reset = serializers.CharField()
    reason = reason_field()


class ResetsInput(NamedFields):
    before = bigint_field(default=None, allow_null=True)
    limit = serializers.IntegerField(min_value=1, max_value=MAX_SHOWN_RESETS, default=MAX_SHOWN_RESETS)


class SubscriptionsInput(NamedFields):
    topics = topics_field(allow_empty=False)


class PauseInput(NamedFields):
    """Without a topic all of the group."""

    topic = name_field(default=None, allow_null=True)
    partitions = serializers.ListField(
        child=bigint_field(), default=None, allow_null=True, allow_empty=False, max_length=MAX_PLACES
    )
    reason = reason_field()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["topic"] is None and attrs["partitions"] is not None:
            raise Invalid(reason="Partitions of which topic? Give topic too, or neither for all of the group.")
        return attrs


class JoinInput(NamedFields):
    """`instance` and `client` become part of an address, so they keep to the rule for names."""

    topics = topics_field(default=None, allow_null=True, allow_empty=False)
    instance = serializers.CharField(default=None, allow_null=True, max_length=200)
    client = serializers.CharField(default="rest", max_length=200)
    session_seconds = SecondsField(required=False)

    def validate_instance(self, instance: str | None) -> str | None:
        return instance if instance is None else require_name(instance, "static member")

    def validate_client(self, client: str) -> str:
        return require_name(client, "client")


class MemberInput(NamedFields):
    epoch = bigint_field()


class PositionInput(Place):
    """`epoch`: of the fetch that gave the position, so that one from before a reset does not undo the reset."""

    offset = bigint_field()
    epoch = bigint_field()


class MemberFetchInput(NamedFields):
    epoch = bigint_field()
    max_records = serializers.IntegerField(default=500, min_value=1, max_value=MAX_FETCH_RECORDS)
    max_bytes = serializers.IntegerField(default=1_048_576, min_value=1, max_value=MAX_FETCH_BYTES)
    wait_seconds = SecondsField(default=0.0, min_value=0, max_value=MAX_WAIT_SECONDS)
    positions = serializers.ListField(child=PositionInput(), default=list, max_length=MAX_PLACES)

    def validate_positions(self, positions: list[dict[str, Any]]) -> dict[tuple[str, int, int], int]:
        """(topic, partition, epoch) to offset."""
        require_once(positions)
        return {(p["topic"], p["partition"], p["epoch"]): p["offset"] for p in positions}


class AcquireInput(Place):
    member = serializers.CharField(max_length=100)
    seconds = SecondsField(default=30, min_value=1, max_value=300)


class CommitInput(Place):
    offset = bigint_field()
    epoch = bigint_field()
    metadata = serializers.CharField(default=None, allow_null=True, allow_blank=True, trim_whitespace=False)


class CommitsInput(NamedFields):
    offsets = serializers.ListField(child=CommitInput(), allow_empty=False, max_length=MAX_PLACES)

    def validate_offsets(self, offsets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        require_once(offsets)
        return offsets


class ChosenTopic(NamedFields):
    """Without partitions all of them."""

    topic = name_field()
    partitions = serializers.ListField(
        child=bigint_field(), default=None, allow_null=True, allow_empty=False, max_length=MAX_PLACES
    )


class TargetInput(Place):
    offset = bigint_field()


class UndoInput(NamedFields):
    dry_run = serializers.BooleanField(default=True)
    reason = reason_field()
    if_active = serializers.ChoiceField(choices=[FENCE, REFUSE], default=FENCE)


class ResetInput(UndoInput):
    """A mode with the one field it needs, or a plan's token and nothing else of a plan."""

    mode = serializers.CharField(required=False)
    offset = bigint_field(required=False)
    datetime = serializers.CharField(required=False)
    duration = serializers.CharField(required=False, max_length=64)
    shift_by = bigint_field(least=-MAX_BIGINT, required=False)
    file = serializers.CharField(required=False, max_length=MAX_FILE_CHARACTERS)
    offsets = serializers.ListField(child=TargetInput(), required=False, allow_empty=False, max_length=MAX_FILE_ROWS)
    from_group = name_field(required=False)
    topics = serializers.ListField(child=ChosenTopic(), required=False, allow_empty=False, max_length=MAX_TOPICS)
    plan_token = serializers.CharField(required=False, max_length=MAX_TOKEN_CHARACTERS)

    def validate_topics(self, topics: list[dict[str, Any]]) -> dict[str, list[int] | None]:
        """Topic to its partitions, None for all."""
        chosen = {item["topic"]: item["partitions"] for item in topics}
        if len(chosen) < len(topics):
            raise serializers.ValidationError("A topic is given twice.")
        return chosen

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "plan_token" in attrs:
            _check_token_alone(attrs)
        elif "mode" not in attrs:
            raise Invalid(reason="Give a mode, or the plan_token of a dry run.")
        else:
            _check_value(attrs)
        return attrs


def _check_token_alone(attrs: dict[str, Any]) -> None:
    about_plan = sorted(set(attrs) - {"plan_token", "dry_run", "reason", "if_active"})
    if about_plan:
        raise Invalid(reason=f"A plan_token says what will be done; {about_plan[0]} does not go with it.")
    if attrs["dry_run"]:
        raise Invalid(reason="This plan was shown already: execute it with dry_run false.")


def _check_value(attrs: dict[str, Any]) -> None:
    mode = attrs["mode"]
    fields = VALUE_FIELDS.get(mode, ())
    given = [name for name in _all_value_fields() if name in attrs]
    if wrong := [name for name in given if name not in fields]:
        raise Invalid(reason=f"{mode} does not take {wrong[0]}.")
    least = 0 if mode in MODES_WITH_OPTIONAL_VALUE else min(1, len(fields))
    if not least <= len(given) <= 1:
        raise Invalid(reason=f"{mode} takes exactly one of: {', '.join(fields)}.")


def _all_value_fields() -> list[str]:
    return sorted({name for fields in VALUE_FIELDS.values() for name in fields})


def read_mode_value(given: dict[str, Any]) -> Any:
    """What `plan_reset` takes as the value of the mode; None where it has none."""
    name = next((name for name in VALUE_FIELDS.get(given["mode"], ()) if name in given), None)
    if name is None:
        return None
    if name == "datetime":
        return read_time("datetime", given["datetime"])
    if name == "offsets":
        return [(item["topic"], item["partition"], item["offset"]) for item in given["offsets"]]
    return given[name]


def require_once(places: Iterable[dict[str, Any]]) -> None:
    """Refuse a partition that is named twice."""
    seen = set()
    for item in places:
        place = (item["topic"], item["partition"])
        if place in seen:
            raise serializers.ValidationError(f"Partition {item['partition']} of {item['topic']} is given twice.")
        seen.add(place)


def write_assignments(assignments: Iterable[Assignment]) -> list[dict[str, Any]]:
    """`[{"topic", "partition", "epoch", "offset"}]`; the offset is the next one to read."""
    return [
        {"topic": a.topic, "partition": a.partition, "epoch": a.epoch, "offset": a.position}
        for a in sorted(assignments, key=lambda a: (a.topic, a.partition))
    ]


def write_plan(plan: ResetPlan) -> dict[str, Any]:
    """A dry run: what would move where, with the token that does exactly this."""
    return {
        "group": plan.group,
        "mode": plan.mode,
        "says": plan.says,
        "dry_run": True,
        "results": [
            {
                "topic": move.topic,
                "partition": move.partition,
                "current_offset": move.current,
                "new_offset": move.new,
                "records_to_replay": move.records_to_replay,
                "records_to_skip": move.records_to_skip,
                "clamped": move.clamped or None,
                "warning": move.warning or None,
            }
            for move in plan.moves
        ],
        "records_to_replay": plan.records_to_replay,
        "records_to_skip": plan.records_to_skip,
        "warnings": plan.warnings,
        "plan_token": plan.token,
    }
