"""What is declared in code against what the database holds."""

from collections.abc import Iterable

from logs.configs import parse_configs
from logs.declarations import groups as declared_groups
from logs.declarations import topics as declared_topics
from logs.models import ConsumerGroup
from logs.selectors.topics import stored_topics
from mqsite.registry import list_differences


def find_misfits(reads: Iterable[tuple[str, str, str]], *, using: str = "default") -> list[tuple[str, str]]:
    """Of what is read, as (group, its owner, topic), what cannot be: a sentence each, and what to do."""
    wanted = list(reads)
    owners = dict(ConsumerGroup.objects.using(using).values_list("name", "owner__name"))
    known = {topic.name for topic in declared_topics}
    known |= set(stored_topics(using).filter(name__in={topic for _, _, topic in wanted}).values_list("name", flat=True))
    found = [
        (
            f"Group {group} is read here for {owner}, but {owners[group]} owns it.",
            f'Declare Group("{group}", owner="{owners[group]}") if this is its service, else take its handlers out.',
        )
        for group, owner in {group: owner for group, owner, _ in wanted}.items()
        if owners.get(group, owner) != owner
    ]
    return found + [
        (
            f"Group {group} reads topic {topic}, which is neither declared nor in the database.",
            "Correct the name, declare the Topic, or create it first; if it comes later by design, silence logs.W001.",
        )
        for group, _, topic in wanted
        if topic not in known
    ]


def drift(*, using: str = "default") -> list[str]:
    """A sentence for each difference between what is declared in code and what the database holds."""
    found = []
    topics = {t.name: t for t in stored_topics(using).filter(name__in=[t.name for t in declared_topics])}
    for topic in declared_topics:
        stored = topics.get(topic.name)
        columns = parse_configs(topic.configs)
        wanted = (topic.owner, topic.partitions, *columns.values())
        values = stored and (stored.owner.name, stored.partition_count, *(getattr(stored, c) for c in columns))
        found += list_differences(f"Topic {topic.name}", ("owner", "partitions", *topic.configs), wanted, values)
    stored_groups = {
        g.name: g
        for g in ConsumerGroup.objects.using(using)
        .select_related("owner")
        .filter(name__in=[g.name for g in declared_groups])
    }
    for group in declared_groups:
        row = stored_groups.get(group.name)
        found += list_differences(
            f"Group {group.name}",
            ("owner", "auto_offset_reset"),
            (group.owner, group.auto_offset_reset),
            (row.owner.name, row.auto_offset_reset) if row else None,
        )
    return found
