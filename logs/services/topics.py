"""Topics come and go."""

from django.db import IntegrityError, transaction

from logs import selectors, store
from logs.declarations import MAX_PARTITIONS
from logs.errors import TopicAlreadyExists
from logs.models import MAX_MESSAGE_BYTES, GroupPartition, Partition, Topic
from mqsite.audit import record_action
from mqsite.boundaries import ensure_boundary, require_name
from mqsite.errors import Invalid


def create_topic(
    name: str,
    *,
    owner: str,
    partitions: int = 1,
    description: str = "",
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    using: str = "default",
) -> Topic:
    """Create a topic with its partitions."""
    require_name(name, "topic")
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise Invalid(reason=f"partitions is {partitions}; allowed are 1 to {MAX_PARTITIONS}.")
    try:
        with transaction.atomic(using=using):
            topic = Topic.objects.using(using).create(
                name=name,
                owner=ensure_boundary(owner, using=using),
                description=description,
                max_message_bytes=max_message_bytes,
            )
            Partition.objects.using(using).bulk_create(
                Partition(topic=topic, number=number) for number in range(partitions)
            )
    except IntegrityError as error:
        raise TopicAlreadyExists(topic=name) from error
    return topic


def delete_topic(name: str, *, actor: str, using: str = "default") -> None:
    """Delete a topic, its records and every group's offsets on it. Publishers to it fail as a whole."""
    with transaction.atomic(using=using):
        selectors.locate_topic(name, using=using)
        # Readers' rows, then publishers', each by id: the order of a handler that publishes. No circle can form.
        readers = GroupPartition.objects.using(using).filter(partition__topic__name=name)
        list(readers.select_for_update(of=("self",)).order_by("id").values_list("id"))
        partitions = Partition.objects.using(using).filter(topic__name=name)
        ids = list(partitions.select_for_update(of=("self",)).order_by("id").values_list("id", flat=True))
        Topic.objects.using(using).filter(name=name).delete()
        store.truncate(ids, using=using)
        record_action(actor=actor, action="delete topic", subject=name, using=using)
