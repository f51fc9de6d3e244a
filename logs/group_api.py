"""REST of consumer groups: parse, call a service or selector, answer. Any web process can serve any member."""

from typing import Any

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from logs import selectors, services
from logs.api import hide_errors
from logs.errors import Fenced, GroupNotOwned, PartitionHeld
from logs.group_serializers import (
    AcquireInput,
    CommitsInput,
    GroupChange,
    GroupInput,
    JoinInput,
    MemberFetchInput,
    MemberInput,
    PauseInput,
    ResetInput,
    ResetsInput,
    SubscriptionsInput,
    UndoInput,
    read_mode_value,
    write_assignments,
    write_plan,
)
from logs.models import ConsumerGroup
from logs.serializers import write_record
from logs.services import Assignment, GroupReader, Membership, ResetPlan
from logs.services.reset_plans import read_token
from mqsite.authentication import acting_boundary, acting_name
from mqsite.boundaries import require_acting
from mqsite.errors import Invalid, MessagingError, NotFound
from mqsite.fields import ReasonInput
from mqsite.long_poll import answer_wait, place_to_wait
from mqsite.parsing import checked


class GroupsView(APIView):
    """The consumer groups, and a new one owned by the boundary that asks."""

    def get(self, request: Request) -> Response:
        return Response({"groups": selectors.groups()})

    def post(self, request: Request) -> Response:
        given = checked(GroupInput, request.data)
        services.create_group(owner=require_acting(acting_boundary(request)), **given)
        return Response(_describe(given["name"]), status=status.HTTP_201_CREATED)


class GroupView(APIView):
    """One group: who reads, what is paused, its position and lag on every partition."""

    def get(self, request: Request, group: str) -> Response:
        described = _describe(group)
        hide_errors(request, described["topics"])
        return Response(described)

    def patch(self, request: Request, group: str) -> Response:
        """`{"auto_offset_reset", "reason"}`"""
        require_reader(request, group)
        services.alter_group(group, actor=acting_name(request), **checked(GroupChange, request.data))
        return Response(_describe(group))

    def delete(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        services.delete_group(group, actor=acting_name(request), **checked(ReasonInput, request.data))
        return Response(status=status.HTTP_204_NO_CONTENT)


class SubscriptionsView(APIView):
    """Read `{"topics": [...]}` too. Those it reads already stay as they are."""

    def post(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        topics = checked(SubscriptionsInput, request.data)["topics"]
        for topic in topics:
            selectors.require_topic(topic)
        for topic in topics:
            services.subscribe_group(group, topic)
        return Response(_describe(group))


class GroupTopicView(APIView):
    """A topic that the group reads."""

    def delete(self, request: Request, group: str, topic: str) -> Response:
        """Forget the offsets on it, and that it is read."""
        require_reader(request, group)
        services.delete_offsets(group, topic, actor=acting_name(request), **checked(ReasonInput, request.data))
        return Response(status=status.HTTP_204_NO_CONTENT)


class PauseView(APIView):
    """Stop reading: `{"topic", "partitions", "reason"}`, all of the group without a topic."""

    def post(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        services.pause_group(group, actor=acting_name(request), **checked(PauseInput, request.data))
        return Response(_describe(group))


class ResumeView(APIView):
    """Go on reading: `{"topic", "partitions", "reason"}`."""

    def post(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        services.resume_group(group, actor=acting_name(request), **checked(PauseInput, request.data))
        return Response(_describe(group))


class LagView(APIView):
    """How far behind the group is, per partition and in all."""

    def get(self, request: Request, group: str) -> Response:
        lags = _list_lags(group)
        worst = max(lags, key=lambda lag: lag["lag"], default=None)
        body = {
            "max_lag": worst["lag"] if worst else 0,
            "max_lag_topic": worst["topic"] if worst else None,
            "max_lag_partition": worst["partition"] if worst else None,
            "total_lag": sum(lag["lag"] for lag in lags),
            "partitions": lags,
        }
        return Response({"group": group, **body})


class MembersView(APIView):
    """Who reads for the group, and one more."""

    def get(self, request: Request, group: str) -> Response:
        return Response({"members": selectors.list_members(group)})

    def post(self, request: Request, group: str) -> Response:
        """Join: `{"topics", "instance", "client", "session_seconds"}`, each optional."""
        boundary = require_reader(request, group).owner.name
        membership = services.join_group(group, boundary=boundary, **checked(JoinInput, request.data))
        body = {
            "member": membership.member,
            "epoch": membership.epoch,
            "session_seconds": membership.session_seconds,
            "heartbeat_seconds": membership.heartbeat_seconds,
            "partitions": write_assignments(_take_first_share(membership)),
        }
        return Response(body, status=status.HTTP_201_CREATED)


class MemberView(APIView):
    """One member."""

    def delete(self, request: Request, group: str, member: str) -> Response:
        """Leave with `{"epoch"}`: what it held is free at once."""
        given = checked(MemberInput, request.data)
        services.leave_group(_resume(request, group, member, epoch=given["epoch"]))
        return Response(status=status.HTTP_204_NO_CONTENT)


class HeartbeatView(APIView):
    """Stay a member with `{"epoch"}`: what it reads, and in `revoked` what it holds but should commit and give up.

    It lets go of that with its next fetch.
    """

    def post(self, request: Request, group: str, member: str) -> Response:
        membership = _resume(request, group, member, epoch=checked(MemberInput, request.data)["epoch"])
        held = services.sync_member(membership).gained
        shares = services.sync_member(membership, held)
        reading = [*shares.kept, *shares.gained]
        services.keep_member(membership, [a.group_partition_id for a in [*reading, *shares.leaving]])
        return Response({"partitions": write_assignments(reading), "revoked": write_assignments(shares.leaving)})


class MemberRecordsView(APIView):
    """The next records of what the member holds: `{"epoch", "max_records", "max_bytes", "wait_seconds", "positions"}`.

    Nothing is remembered between two requests: it reads from the committed offsets, or from `positions`
    `[{"topic", "partition", "epoch", "offset"}]` where the client has read further and not committed yet.
    """

    def post(self, request: Request, group: str, member: str) -> Response:
        given = checked(MemberFetchInput, request.data)
        wanted_seconds = given["wait_seconds"]
        reader = GroupReader(_resume(request, group, member, epoch=given["epoch"]))
        reader.take_up(given["positions"])
        with place_to_wait(wanted_seconds) as seconds:
            records = reader.poll(max_records=given["max_records"], max_bytes=given["max_bytes"], wait_seconds=seconds)
        refused = not records and seconds < wanted_seconds
        body = {
            "records": [{"topic": record.topic, **write_record(record)} for record in records],
            "partitions": _write_next(reader),
        }
        return answer_wait(body, refused=refused)


class AssignmentsView(APIView):
    """Become the reader of a partition: answers the epoch to commit with and where to go on reading."""

    def post(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        given = checked(AcquireInput, request.data)
        member = f"rest:{acting_boundary(request) or request.user}:{given.pop('member')}"
        assignment = services.acquire_partition(group, member=member, **given)
        if assignment is None:
            owner = selectors.holder_of(group, given["topic"], given["partition"])
            raise PartitionHeld(group=group, topic=given["topic"], partition=given["partition"], owner=owner)
        answer: dict[str, Any] = {"member": member, "epoch": assignment.epoch, "offset": assignment.position}
        return Response(answer, status=status.HTTP_201_CREATED)


class OffsetsView(APIView):
    """What the group has committed, and commits of it: always the NEXT offset to read."""

    def get(self, request: Request, group: str) -> Response:
        return Response({"offsets": selectors.committed_offsets(selectors.require_group(group))})

    def post(self, request: Request, group: str) -> Response:
        """`{"offsets": [{"topic", "partition", "offset", "epoch", "metadata"}]}`; the epochs of the assignments.

        Each partition by itself: 409 when some were fenced, and the others are committed all the same.
        """
        require_reader(request, group)
        given = checked(CommitsInput, request.data)["offsets"]
        answered = services.commit_checked(group, [services.Commit(**item) for item in given])
        fenced = {a: refusal for a, refusal in answered.items() if refusal}
        outcome = {
            "committed": [_write_commit(a) for a in answered if a not in fenced],
            "refused": [_write_refused(a, refusal) for a, refusal in fenced.items()],
        }
        if not fenced:
            return Response(outcome)
        first = outcome["refused"][0]
        reason = f"{first['topic']}-{first['partition']}: {first['detail']}"
        message = f"{len(fenced)} of {len(answered)} partitions were not committed. {reason}."
        body = {"code": Fenced.code, "message": message, "permanent": Fenced.permanent, **outcome}
        return Response(body, status=status.HTTP_409_CONFLICT)


class ResetOffsetsView(APIView):
    """Move the group, live or not: first what would happen (`dry_run`, the default), then exactly that by its token.

    `{"mode", one of "offset", "datetime", "duration", "shift_by", "file", "offsets", "from_group" if the mode needs it,
    "topics": [{"topic", "partitions"}], "dry_run", "reason", "if_active"}`, or
    `{"plan_token", "dry_run": false, "reason", "if_active"}`.
    """

    def post(self, request: Request, group: str) -> Response:
        require_reader(request, group)
        given = checked(ResetInput, request.data)
        if "plan_token" in given:
            if read_token(given["plan_token"]).group != group:
                raise Invalid(reason=f"This plan is not one of group {group}.")
            return _execute(request, given["plan_token"], given)
        plan = services.plan_reset(group, given["mode"], read_mode_value(given), topics=given.get("topics"))
        return _answer_plan(request, plan, given)


class ResetsView(APIView):
    """The newest resets, each with what it moved; `?before=` an id, and `limit`. `next_before`: where to go on."""

    def get(self, request: Request, group: str) -> Response:
        given = checked(ResetsInput, request.query_params)
        found = selectors.find_resets(group, **given)
        is_full = len(found) == given["limit"]
        return Response({"resets": found, "next_before": found[-1]["id"] if is_full else None})


class UndoView(APIView):
    """Back to where a reset found the group: `{"dry_run", "reason", "if_active"}`, shown first as any reset."""

    def post(self, request: Request, group: str, reset: int) -> Response:
        require_reader(request, group)
        given = checked(UndoInput, request.data)
        plan = services.plan_undo(reset)
        if plan.group != group:
            raise NotFound(what=f"Reset {reset} of group {group}")
        return _answer_plan(request, plan, given)


def require_reader(request: Request, group: str) -> ConsumerGroup:
    """The group; a refusal unless its owner or an operator asks."""
    row = selectors.require_group(group)
    boundary = acting_boundary(request)
    if boundary != row.owner.name and not getattr(request.user, "is_superuser", False):
        raise GroupNotOwned(owner=row.owner.name, verb="reads as", name=group, boundary=boundary or "nobody")
    return row


def _describe(group: str) -> dict[str, Any]:
    row = selectors.require_group(group)
    described = selectors.describe_group(group)
    pauses = described["pauses"]
    return {
        "group": described["group"],
        "owner": described["owner"],
        "auto_offset_reset": row.auto_offset_reset,
        "state": selectors.group_state(row),
        "members": len(selectors.list_members(group)),
        "paused": next((_say_pause(p) for p in pauses if p["topic"] is None), None),
        "paused_partitions": [
            {"topic": p["topic"], "partition": number, **_say_pause(p)}
            for p in pauses
            for number in p["partitions"] or ()
        ],
        "topics": described["topics"],
    }


def _say_pause(pause: dict[str, Any]) -> dict[str, Any]:
    return {name: pause[name] for name in ("at", "by", "reason")}


def _list_lags(group: str) -> list[dict[str, Any]]:
    return [
        {
            "topic": topic["name"],
            "partition": partition["number"],
            "committed": standing["committed"],
            "log_end": partition["log_end"],
            "lag": standing["lag"],
            "lag_seconds": standing["lag_seconds"],
        }
        for topic in selectors.describe_group(group)["topics"]
        for partition in topic["partitions"]
        for standing in partition["groups"]
    ]


def _resume(request: Request, group: str, member: str, *, epoch: int) -> Membership:
    boundary = require_reader(request, group).owner.name
    return services.resume_member(group, member, boundary=boundary, epoch=epoch)


def _take_first_share(membership: Membership) -> list[Assignment]:
    """Nobody would know of a member whose first look is refused, so it does not stay."""
    try:
        return services.sync_member(membership).gained
    except MessagingError:
        services.leave_group(membership)
        raise


def _write_next(reader: GroupReader) -> list[dict[str, Any]]:
    return [
        {"topic": a.topic, "partition": a.partition, "epoch": a.epoch, "next_offset": offset}
        for a, offset in reader.positions.items()
    ]


def _write_commit(assignment: Assignment) -> dict[str, Any]:
    return {"topic": assignment.topic, "partition": assignment.partition, "offset": assignment.position}


def _write_refused(assignment: Assignment, error: Fenced) -> dict[str, Any]:
    """The commit with what happened to its holder."""
    return {
        **_write_commit(assignment),
        "epoch": assignment.epoch,
        "code": error.code,
        "detail": error.facts["what"],
    }


def _answer_plan(request: Request, plan: ResetPlan, given: dict[str, Any]) -> Response:
    return Response(write_plan(plan)) if given["dry_run"] else _execute(request, plan.token, given)


def _execute(request: Request, token: str, given: dict[str, Any]) -> Response:
    moved = services.execute_reset(
        token, actor=acting_name(request), reason=given["reason"], if_active=given["if_active"]
    )
    return Response({**moved, "dry_run": False})
