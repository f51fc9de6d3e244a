"""Questions about consumer groups that change nothing: what they read, who reads for them, what was moved."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from logs import rows, store
from logs.errors import GroupNotFound, NotSubscribed
from logs.models import ConsumerGroup, GroupPartition, Member, Reset, ResetMove, Topic
from logs.policies import BY_DURATION, LATEST, parse_start_policy
from logs.selectors import lags
from logs.selectors.pauses import find_pauses
from logs.selectors.topics import describe_topics, require_topic, stored_topics
from logs.sharing import share_out
from mqsite import sql, workers
from mqsite.errors import Invalid

MAX_SHOWN_RESETS = 100

# Who holds what a reset is about to move, or what a pause has taken away. No member is called so.
RESETTING, PAUSING = "reset by ", "pause by "

# Kafka's names of states. A group that does not exist is not found, so it is never Dead.
EMPTY, STABLE, RECONCILING = "Empty", "Stable", "Reconciling"


def require_group(name: str, *, using: str = "default") -> ConsumerGroup:
    group = ConsumerGroup.objects.using(using).select_related("owner").filter(name=name).first()
    if group is None:
        raise GroupNotFound(group=name)
    return group


def find_owners(groups: Collection[str], *, using: str = "default") -> dict[str, str]:
    """Of each of the groups, the boundary that owns it."""
    found = ConsumerGroup.objects.using(using).filter(name__in=groups)
    return dict(found.values_list("name", "owner__name"))


def find_group_partition(group: str, topic: str, partition: int, *, using: str = "default") -> GroupPartition | None:
    return (
        GroupPartition.objects.using(using)
        .filter(group__name=group, partition__topic__name=topic, partition__number=partition)
        .first()
    )


def paused_among(group_partition_ids: Sequence[int], *, using: str = "default") -> list[int]:
    """Those that are paused by themselves or with their whole group."""
    held = GroupPartition.objects.using(using).filter(id__in=group_partition_ids)
    return list(
        held.filter(Q(paused_at__isnull=False) | Q(group__paused_at__isnull=False)).values_list("id", flat=True)
    )


def holder_of(group: str, topic: str, partition: int, *, using: str = "default") -> str:
    """The member that reads the partition now, or "nobody"."""
    held = find_group_partition(group, topic, partition, using=using)
    return (held.owner if held else None) or "nobody"


def find_start(policy: str, ends: rows.Bounds, *, using: str = "default") -> int | None:
    """Where auto.offset.reset wants a group to start on a partition; None: nowhere in particular, as with "none"
    and with "earliest", which is the log start whenever the group comes."""
    parsed = parse_start_policy(policy)
    if parsed.kind == LATEST:
        return ends.log_end
    if parsed.kind == BY_DURATION:
        found = store.offset_for_time(ends.partition_id, sql.now(using) - parsed.duration, using=using)
        return ends.log_end if found is None else found
    return None


def choose_partitions(
    group: str, *, topic: str | None = None, partitions: Sequence[int] | None = None, using: str = "default"
) -> list[rows.Resettable]:
    """What a group reads: all of it, one topic, or some partitions of that topic. None at all is an empty list
    only for a whole group."""
    found = store.reset_view(group, using=using)
    if not found:
        require_group(group, using=using)
    if topic is None:
        if partitions is not None:
            raise Invalid(
                reason="Partitions of which topic? Name it, or leave the partitions out for all of the group."
            )
        return found
    chosen = [row for row in found if row.topic == topic and (partitions is None or row.number in partitions)]
    missing = set(partitions or []) - {row.number for row in chosen}
    if missing or not chosen:
        raise NotSubscribed(group=group, topic=topic, partition=min(missing, default="any"))
    return chosen


def find_active(group: ConsumerGroup, *, topic: str | None = None, using: str = "default") -> list[str]:
    """Who reads for the group now, or only a topic of it: its members, who holds partitions, and worker processes
    with a handler for it."""
    members = store.members(group.id, using=using)
    names = {m.name for m in members if topic is None or m.topics is None or topic in m.topics}
    for held in store.holdings(group.id, using=using):
        if is_held_by_member(held) and (topic is None or held.topic == topic):
            names.add(str(held.owner))
    name, find = handled_name(group.name, topic), workers.find_handling if topic is None else workers.list_handling
    return sorted(names.union(find(name, using=using)))


def handled_name(group: str, topic: str | None) -> str:
    """How a worker process names what it handles; the beginning of it for all topics."""
    return f"logs:{group}:{topic or ''}"


def committed_offsets(
    group: ConsumerGroup, *, topic: str | None = None, using: str = "default"
) -> list[dict[str, Any]]:
    """`{"topic", "partition", "committed", "metadata"}`, None where the group never committed."""
    return [
        {"topic": row.topic, "partition": row.number, "committed": row.committed, "metadata": row.metadata}
        for row in store.reset_view(group.name, using=using)
        if topic is None or row.topic == topic
    ]


def list_members(group: str, *, using: str = "default") -> list[dict[str, Any]]:
    """Who reads for the group: its members, and worker processes that hold partitions just now, by name."""
    row = require_group(group, using=using)
    held: dict[str, list[dict[str, Any]]] = {}
    for holding in store.holdings(row.id, using=using):
        if is_held_by_member(holding):
            held.setdefault(str(holding.owner), []).append({"topic": holding.topic, "partition": holding.number})
    found = {
        member.name: {
            "member": member.name,
            "is_static": member.is_static,
            "epoch": member.epoch,
            "topics": member.topics,
            "client": member.client,
            "session_seconds": member.session_seconds,
            "joined_at": member.joined_at.isoformat(),
            "partitions": held.pop(member.name, []),
        }
        for member in store.members(row.id, using=using)
    }
    processes = sorted({*held, *workers.find_handling(handled_name(group, None), using=using)} - set(found))
    others = [{"member": name, "is_worker": True, "partitions": held.get(name, [])} for name in processes]
    return [*found.values(), *others]


def list_unclaimed(
    handled: Collection[tuple[str, str]], *, limit: int, using: str = "default"
) -> list[tuple[str, str]]:
    """(group, topic) read by a group that is not among those `handled` and has neither a member nor a holder."""
    members = Member.objects.using(using).filter(expires_at__gt=Now()).values("group_id")
    held = GroupPartition.objects.using(using).filter(owner__isnull=False, expires_at__gt=Now()).values("group_id")
    found = GroupPartition.objects.using(using).filter(partition__number=0)  # every topic has it
    found = found.exclude(group_id__in=members).exclude(group_id__in=held)
    pairs = found.order_by("group__name", "partition__topic__name").values_list("group__name", "partition__topic__name")
    return [pair for pair in pairs[: limit + len(handled)] if pair not in handled][:limit]


def group_state(group: ConsumerGroup, *, using: str = "default") -> str:
    """Empty: nobody reads. Stable: everybody has what is theirs. Reconciling: partitions are changing hands."""
    members = store.members(group.id, using=using)
    holdings = store.holdings(group.id, using=using)
    if not members:
        has_holder = any(is_held_by_member(held) for held in holdings)
        handled = has_holder or workers.find_handling(handled_name(group.name, None), using=using)
        return STABLE if handled else EMPTY
    return STABLE if is_settled(members, holdings) else RECONCILING


def is_held_by_member(holding: rows.Holding) -> bool:
    return holding.owner is not None and not holding.owner.startswith((RESETTING, PAUSING))


def is_settled(members: Iterable[rows.LiveMember], holdings: Iterable[rows.Holding]) -> bool:
    live = [held for held in holdings if not held.is_paused]
    shares = plan_shares(members, live)
    return all(held.owner == shares.get((held.topic, held.number)) for held in live)


def plan_shares(members: Iterable[rows.LiveMember], holdings: Iterable[rows.Holding]) -> dict[tuple[str, int], str]:
    """(topic, partition) to the member that shall read it. Paused partitions are nobody's."""
    topics = {member.name: member.topics for member in members}
    return share_out(topics, {(h.topic, h.number): h.owner for h in holdings if not h.is_paused})


def explain_fencing(group_partition_id: int, epoch: int, *, using: str = "default") -> str:
    """What happened to a holder of this epoch, for the message of its refusal."""
    move = (
        ResetMove.objects.using(using)
        .select_related("reset")
        .filter(group_partition_id=group_partition_id, epoch__gt=epoch)
        .order_by("-id")
        .first()
    )
    if move is not None:
        before = "no commit" if move.committed is None else str(move.committed)
        at = f"{move.reset.at:%Y-%m-%d %H:%M:%S} UTC"
        return f"{move.reset.actor} reset it at {at} from {before} to {move.target}"
    held = GroupPartition.objects.using(using).select_related("group").filter(id=group_partition_id).first()
    if held is None:
        return "the group, the topic or the group's offsets on it were deleted"
    paused = held if held.paused_at else held.group
    if paused.paused_at is not None:
        return f"{paused.paused_by} paused it at {paused.paused_at:%Y-%m-%d %H:%M:%S} UTC"
    if held.owner:
        is_fenced = held.owner.startswith((RESETTING, PAUSING))
        return f"a {held.owner} is under way" if is_fenced else f"{held.owner} holds it now"
    return "another member took over meanwhile, or it was fenced for a reset or a pause"


def find_resets(
    group: str, *, before: int | None = None, limit: int = MAX_SHOWN_RESETS, using: str = "default"
) -> list[dict[str, Any]]:
    """The newest resets of a group, or the newest `before` one, each with what it moved."""
    row = require_group(group, using=using)
    found = Reset.objects.using(using).filter(group=row).prefetch_related("undone_by")
    found = (found if before is None else found.filter(id__lt=before))[:limit]
    moves: dict[int, list[dict[str, Any]]] = {}
    for move in (
        ResetMove.objects.using(using)
        .filter(reset__in=[reset.id for reset in found])
        .select_related("group_partition__partition__topic")
        .order_by("group_partition__partition__topic__name", "group_partition__partition__number")
    ):
        partition = move.group_partition.partition
        moves.setdefault(move.reset_id, []).append(
            {
                "topic": partition.topic.name,
                "partition": partition.number,
                "from": move.committed,
                "to": move.target,
            }
        )
    return [
        {
            "id": reset.id,
            "at": reset.at.isoformat(),
            "actor": reset.actor,
            "mode": reset.mode,
            "says": reset.said,
            "reason": reset.reason,
            "undoes": reset.undoes_id,
            "undone_by": [undo.id for undo in reset.undone_by.all()],
            "partitions": moves.get(reset.id, []),
        }
        for reset in found
    ]


def groups(limit: int = 100, *, using: str = "default") -> list[dict[str, Any]]:
    """The `limit` groups that are furthest behind, each with its lag over all topics."""
    return lags.summarise_groups(limit, using=using)


def describe_group(name: str, *, using: str = "default") -> dict[str, Any]:
    """A group with its topics, each as `describe_topic` shows it but with this group alone, and its pauses.

    `trend`, of each topic and of all: where the lag is heading, as `forecast.foretell` has it.
    """
    group = require_group(name, using=using)
    topics = describe_topics(_topics_of(group, using=using), using=using, only_group=group)
    present = {t["name"]: sum(g["lag"] for p in t["partitions"] for g in p["groups"]) for t in topics}
    trends, trend = lags.find_trends(group.id, present, using=using)
    pauses = find_pauses(group.name, using=using)
    return {
        "group": group.name,
        "owner": group.owner.name,
        "is_paused": any(pause["topic"] is None for pause in pauses),
        "pauses": pauses,
        "trend": trend,
        "topics": [{**topic, "trend": trends[topic["name"]]} for topic in topics],
    }


def lag_history(
    group: str, topic: str | None = None, *, hours: float = 1, using: str = "default"
) -> list[dict[str, Any]]:
    """`{"at", "lag", "lag_seconds", "log_end"}` as sampled, oldest first: a point a minute, fewer over longer times."""
    group_id = require_group(group, using=using).id
    topic_id = None if topic is None else require_topic(topic, using=using).id
    return lags.read_history(group_id, topic_id, hours=hours, using=using)


def find_behind(groups: Sequence[str], *, limit: int, using: str = "default") -> list[rows.Behind]:
    """What the groups have not read to the end, that nobody holds and that waits for no retry."""
    return store.behind(groups, limit=limit, using=using) if groups else []


def _topics_of(group: ConsumerGroup, *, using: str) -> list[Topic]:
    ids = GroupPartition.objects.using(using).filter(group=group).values("partition__topic_id")
    return list(stored_topics(using).filter(id__in=ids))
