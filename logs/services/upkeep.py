"""What is declared comes into being; what is superseded goes."""

from logs import selectors, store
from logs.declarations import Group
from logs.declarations import groups as declared_groups
from logs.declarations import topics as declared_topics
from logs.models import ConsumerGroup, Topic
from logs.services.groups import create_group, subscribe_group
from logs.services.topics import create_topic


def create_declared(*, using: str = "default") -> list[str]:
    """Create the declared topics and groups that are missing; a sentence for each. Changes nothing else."""
    created = []
    for topic in declared_topics:
        if not Topic.objects.using(using).filter(name=topic.name).exists():
            create_topic(
                topic.name,
                owner=topic.owner,
                partitions=topic.partitions,
                description=topic.description,
                max_message_bytes=topic.max_message_bytes,
                using=using,
            )
            created.append(f"Created topic {topic.name} of {topic.owner} with {topic.partitions} partitions.")
    for group in declared_groups:
        if not ConsumerGroup.objects.using(using).filter(name=group.name).exists():
            create_group(group.name, owner=group.owner, start_at=group.start_at, using=using)
            created.append(f"Created consumer group {group.name} of {group.owner}.")
    return created


def subscribe_declared(group: Group, topic: str, *, using: str = "default") -> list[str]:
    """Subscribe a declared group to a topic; a sentence where that cannot be done yet."""
    row = selectors.require_group(group.name, using=using)
    if row.owner.name != group.owner:
        return [f"Group {group.name} belongs to {row.owner.name}, not to {group.owner}: its handlers will not run."]
    if not Topic.objects.using(using).filter(name=topic).exists():
        return [f"Group {group.name} reads {topic}, which does not exist yet: migrate again once it does."]
    subscribe_group(group.name, topic, using=using)
    return []


def sweep_commits(*, limit: int = 10_000, using: str = "default") -> int:
    """Delete commits that newer ones replaced, at most `limit`; how many went."""
    return store.sweep_commits(limit=limit, using=using)


def assign_published(*, using: str = "default") -> None:
    """For tests that run inside a transaction: what it published becomes readable in it now."""
    store.assign_now(using=using)
