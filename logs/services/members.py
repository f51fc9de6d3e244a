"""Members of a group: they join, share its partitions, read, commit and leave. Any process can serve any member."""

import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.db import IntegrityError, transaction

from logs import rows, selectors, store
from logs.errors import GroupNotFound, MemberFenced, UnknownMember
from logs.models import Member as MemberRow
from logs.services.groups import subscribe_group
from logs.services.holding import Assignment, acquire_partitions, adopt_partitions
from mqsite.boundaries import require_name, require_owner
from mqsite.errors import Invalid
from mqsite.payloads import is_storable

SESSION_SECONDS = 45.0  # Kafka's session.timeout.ms
MIN_SESSION_SECONDS, MAX_SESSION_SECONDS = 1.0, 1_800.0
MAX_CLIENT_CHARACTERS = 200
FORGET_SECONDS = 3_600.0  # how long a member that fell silent is still known
FORGET_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Membership:
    """Somebody's place in a group. What it may read, `sync_member` tells."""

    group: str
    group_id: int
    member: str
    epoch: int
    session_seconds: float
    is_static: bool = False

    @property
    def heartbeat_seconds(self) -> float:
        """How often to be heard of at the least."""
        return self.session_seconds / 3


@dataclass(frozen=True, slots=True)
class Shares:
    """What a member holds: `kept` as before, `gained` just now, `leaving` still, until its work is committed and it
    lets go, because another member shall have it or it was paused. `lost`: somebody else's already."""

    kept: list[Assignment]
    gained: list[Assignment]
    leaving: list[Assignment]
    lost: list[Assignment]


def join_group(
    group: str,
    *,
    boundary: str,
    topics: Sequence[str] | None = None,
    instance: str | None = None,
    client: str = "",
    session_seconds: float = SESSION_SECONDS,
    using: str = "default",
) -> Membership:
    """Become a member that reads `topics` (None: all that the group reads), which the group then is subscribed to.

    `instance` names a static member: when it joins again it has its partitions at once, and its former self is
    fenced. Others get a name. A member that is silent for `session_seconds` loses what it holds.
    """
    if not MIN_SESSION_SECONDS <= session_seconds <= MAX_SESSION_SECONDS:
        allowed = f"{MIN_SESSION_SECONDS:g} to {MAX_SESSION_SECONDS:g}"
        raise Invalid(reason=f"session_seconds is {session_seconds}; allowed are {allowed}.")
    if instance is not None:
        require_name(instance, "static member")
    if len(client) > MAX_CLIENT_CHARACTERS or not is_storable(client) or client.split() not in ([], [client]):
        limit = MAX_CLIENT_CHARACTERS
        raise Invalid(reason=f"client is text of at most {limit} characters without white space, not {client!r}.")
    row = selectors.require_group(group, using=using)
    require_owner(row.owner.name, boundary, verb="reads as", name=group)
    name = instance or f"{client or 'member'}:{uuid.uuid4().hex[:12]}"
    try:
        with transaction.atomic(using=using):
            epoch = store.join(
                row.id,
                name,
                is_static=instance is not None,
                topics=topics,
                client=client,
                session_seconds=session_seconds,
                using=using,
            )
            for topic in topics or ():  # after the member's row: the order of a deletion
                _require_subscribed(group, topic, using=using)
            if epoch > 1:
                store.take_over(row.id, name, None, session_seconds=session_seconds, using=using)
    except IntegrityError as error:  # it was deleted meanwhile
        raise GroupNotFound(group=group) from error
    return Membership(group, row.id, name, epoch, session_seconds, instance is not None)


def resume_member(group: str, member: str, *, boundary: str, epoch: int, using: str = "default") -> Membership:
    """The membership that `join_group` gave, from what a client kept of it. It counts as a heartbeat."""
    row = selectors.require_group(group, using=using)
    require_owner(row.owner.name, boundary, verb="reads as", name=group)
    membership = Membership(group, row.id, member, epoch, SESSION_SECONDS)
    session_seconds, is_static = _beat(membership, using=using)
    return replace(membership, session_seconds=session_seconds, is_static=is_static)


def sync_member(
    membership: Membership, held: Sequence[Assignment] = (), *, is_new: bool = False, using: str = "default"
) -> Shares:
    """Take up what is the member's by now. `held` is what it knew to hold. Not a heartbeat: that is `keep_member`.

    The members share the partitions by themselves: each looks at the same picture and takes what is free and its
    own. Nothing is taken from a living member that it does not give. What is the member's beyond `held` is added;
    `is_new`: in new epochs, so that nobody else who goes by its name can be at it, nor a commit whose end it does not
    know. Not for a client that kept the epochs it was told.
    """
    holdings = store.holdings(membership.group_id, using=using)
    members = store.members(membership.group_id, using=using)  # after: who joined again holds nothing of the above
    _refuse_former_self(membership, members)
    mine = {h.group_partition_id: h for h in holdings if h.owner == membership.member}
    shares = selectors.plan_shares(members, holdings)
    is_planned = {h.group_partition_id: shares.get((h.topic, h.number)) == membership.member for h in holdings}
    known = {a.group_partition_id: a for a in held if _is_held(mine, a)}
    adopted = _adopt(membership, [h for id_, h in mine.items() if id_ not in known], is_new=is_new, using=using)
    gained = [a for a in adopted if is_planned[a.group_partition_id]]
    if free := [h for h in holdings if h.owner is None and is_planned[h.group_partition_id]]:
        gained += acquire_partitions(
            membership.group, free, member=membership.member, seconds=membership.session_seconds, using=using
        )
    return Shares(
        kept=[a for id_, a in known.items() if is_planned[id_]],
        gained=gained,
        leaving=[a for a in [*known.values(), *adopted] if not is_planned[a.group_partition_id]],
        lost=[a for a in held if a.group_partition_id not in known],
    )


def keep_member(membership: Membership, group_partition_ids: Sequence[int], *, using: str = "default") -> None:
    """A heartbeat: the member is there, and keeps these partitions if they are still its own."""
    _beat(membership, using=using)
    if group_partition_ids:
        store.renew(
            membership.member,
            group_partition_ids=group_partition_ids,
            seconds=membership.session_seconds,
            using=using,
        )


def leave_group(membership: Membership, *, using: str = "default") -> None:
    """Let go of everything at once, so that nobody need wait. Nothing happens if the member was fenced already."""
    store.leave(membership.group_id, membership.member, epoch=membership.epoch, using=using)


def forget_members(*, limit: int = FORGET_LIMIT, using: str = "default") -> int:
    """Drop members that fell silent long ago, at most `limit`; how many went."""
    return store.forget_members(after_seconds=FORGET_SECONDS, limit=limit, using=using)


def describe_process() -> str:
    """Who a member in this process is, for people to read."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _refuse_former_self(membership: Membership, members: Sequence[rows.LiveMember]) -> None:
    for member in members:
        if member.name == membership.member and member.epoch != membership.epoch:
            raise MemberFenced(group=membership.group, member=member.name, epoch=membership.epoch, present=member.epoch)


def _adopt(membership: Membership, holdings: Sequence[rows.Holding], *, is_new: bool, using: str) -> list[Assignment]:
    if not holdings or not is_new:
        return adopt_partitions(membership.group, holdings, using=using) if holdings else []
    epochs = store.take_over(
        membership.group_id,
        membership.member,
        [h.group_partition_id for h in holdings],
        session_seconds=membership.session_seconds,
        using=using,
    )
    taken = [h._replace(epoch=epochs[h.group_partition_id]) for h in holdings if h.group_partition_id in epochs]
    return adopt_partitions(membership.group, taken, using=using)


def _is_held(mine: Mapping[int, rows.Holding], assignment: Assignment) -> bool:
    holding = mine.get(assignment.group_partition_id)
    return holding is not None and holding.epoch == assignment.epoch


def _beat(membership: Membership, *, using: str) -> tuple[float, bool]:
    """The session's seconds, and whether the member is static."""
    found = store.heartbeat(membership.group_id, membership.member, epoch=membership.epoch, using=using)
    if found is None:
        row = MemberRow.objects.using(using).filter(group_id=membership.group_id, name=membership.member).first()
        facts = {"group": membership.group, "member": membership.member}
        if row is None:
            raise UnknownMember(**facts)
        raise MemberFenced(**facts, epoch=membership.epoch, present=row.epoch)
    return found


def _require_subscribed(group: str, topic: str, *, using: str) -> None:
    """Every partition of the topic is in the group's rows, also one that has just been added."""
    selectors.require_topic(topic, using=using)
    subscribe_group(group, topic, using=using)
