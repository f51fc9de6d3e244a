"""Consumer groups come and go, and say what they read."""

from collections.abc import Sequence

from django.db import IntegrityError, transaction

from logs import selectors, store
from logs.errors import GroupAlreadyExists, GroupNotFound, GroupSubscribed, NonEmptyGroup, NotSubscribed
from logs.models import ConsumerGroup, GroupPartition, Member, Topic
from logs.policies import parse_start_policy
from mqsite.audit import record_action
from mqsite.boundaries import ensure_boundary, require_name


def create_group(
    name: str, *, owner: str, topics: Sequence[str] = (), auto_offset_reset: str = "earliest", using: str = "default"
) -> ConsumerGroup:
    """Create a consumer group and let it read topics. `auto_offset_reset`: see `logs.policies`."""
    require_name(name, "consumer group")
    parse_start_policy(auto_offset_reset)
    try:
        with transaction.atomic(using=using):
            group = ConsumerGroup.objects.using(using).create(
                name=name, owner=ensure_boundary(owner, using=using), auto_offset_reset=auto_offset_reset
            )
            for topic in topics:
                subscribe_group(name, topic, using=using)
    except IntegrityError as error:
        raise GroupAlreadyExists(group=name) from error
    return group


def alter_group(name: str, *, auto_offset_reset: str, actor: str, reason: str = "", using: str = "default") -> None:
    """Change where the group reads without a valid committed offset. What it has committed stays."""
    parse_start_policy(auto_offset_reset)
    with transaction.atomic(using=using):
        group = selectors.require_group(name, using=using)
        facts = {"auto.offset.reset": {"from": group.auto_offset_reset, "to": auto_offset_reset}}
        group.auto_offset_reset = auto_offset_reset
        group.save(using=using, update_fields=["auto_offset_reset"])
        record_action(actor=actor, action="alter group", subject=name, reason=reason, facts=facts, using=using)


def subscribe_group(group: str, topic: str, *, using: str = "default") -> None:
    """Let a group read a topic, from where its auto.offset.reset says. Subscribing again changes nothing.

    With "latest" that is the log end of this moment: what comes between now and the first fetch is not missed.
    """
    with transaction.atomic(using=using):
        row = selectors.require_group(group, using=using)
        # Whoever adds partitions at the moment is waited for, and waits: none is missed.
        list(Topic.objects.using(using).select_for_update(no_key=True).filter(name=topic).values_list("id"))
        if not store.keep_groups([row.id], using=using):
            raise GroupNotFound(group=group)
        ends = selectors.bounds(topic, using=using)
        for end in ends:
            held, created = GroupPartition.objects.using(using).get_or_create(group=row, partition_id=end.partition_id)
            start = selectors.find_start(row.auto_offset_reset, end, using=using) if created else None
            if start is not None:
                store.commit_offset(held.id, epoch=held.epoch, offset=start, using=using)


def delete_group(name: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    """Delete a group with all its offsets. Refused while somebody reads for it."""
    with transaction.atomic(using=using):
        group = selectors.require_group(name, using=using)
        _lock_members(group, using=using)
        _lock_partitions(group, using=using)
        _lock_group(group, using=using)
        if members := selectors.find_active(group, using=using):
            raise NonEmptyGroup(group=name, members=", ".join(members), what="Nothing was deleted.")
        facts = {"offsets": selectors.committed_offsets(group, using=using)}
        group.delete(using=using)
        record_action(actor=actor, action="delete group", subject=name, reason=reason, facts=facts, using=using)


def delete_offsets(group: str, topic: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    """Forget the group's offsets on a topic, and that it reads it. Refused while somebody reads it for the group."""
    with transaction.atomic(using=using):
        row = selectors.require_group(group, using=using)
        _lock_partitions(row, using=using)
        gone = GroupPartition.objects.using(using).filter(group=row, partition__topic__name=topic)
        if not gone.exists():
            raise NotSubscribed(group=group, topic=topic, partition="any")
        if members := selectors.find_active(row, topic=topic, using=using):
            raise GroupSubscribed(group=group, topic=topic, members=", ".join(members))
        facts = {"topic": topic, "offsets": selectors.committed_offsets(row, topic=topic, using=using)}
        gone.delete()
        record_action(actor=actor, action="delete offsets", subject=group, reason=reason, facts=facts, using=using)


def _lock_members(group: ConsumerGroup, *, using: str) -> None:
    """Before the partitions: the order of a static member that joins again."""
    list(Member.objects.using(using).select_for_update().filter(group=group).order_by("id").values_list("id"))


def _lock_group(group: ConsumerGroup, *, using: str) -> None:
    """After the partitions: the order of a reset, whose COMMIT looks for the group. Who joins waits, and is refused."""
    locked = ConsumerGroup.objects.using(using).select_for_update(of=("self",)).filter(id=group.id)
    if not locked.values_list("id"):
        raise GroupNotFound(group=group.name)


def _lock_partitions(group: ConsumerGroup, *, using: str) -> None:
    """So that nobody becomes its reader between the look and the deletion."""
    list(GroupPartition.objects.using(using).select_for_update().filter(group=group).order_by("id").values_list("id"))
