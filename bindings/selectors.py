"""Questions about bindings that change nothing."""

from typing import Any

from django.db.models import QuerySet

from bindings.errors import BindingNotFound
from bindings.models import Binding
from logs.models import Topic
from queues.models import Queue

MOST_LISTED = 100
MOST_BOUND = 1_000  # bindings that work; the others wait for room


def require_binding(name: str, *, using: str = "default") -> Binding:
    row = _standing(using).filter(name=name).first()
    if row is None:
        raise BindingNotFound(binding=name)
    return row


def list_bindings(
    *,
    topic: str | None = None,
    queue: str | None = None,
    after: str = "",
    limit: int = MOST_LISTED,
    using: str = "default",
) -> list[dict[str, Any]]:
    """By name, from behind `after` on. `problem`: why it stands still, or None."""
    rows = _standing(using).filter(name__gt=after)
    rows = rows if topic is None else rows.filter(topic=topic)
    rows = rows if queue is None else rows.filter(queue=queue)
    return _describe(list(rows[:limit]), using=using)


def describe_binding(name: str, *, using: str = "default") -> dict[str, Any]:
    return _describe([require_binding(name, using=using)], using=using)[0]


def bound(*, using: str = "default") -> list[Binding]:
    """The bindings that work shall be done for."""
    return list(_standing(using)[:MOST_BOUND])


def bound_to(topic: str, *, using: str = "default") -> list[str]:
    """The groups that read a topic for bindings."""
    return list(_standing(using).filter(topic=topic)[:MOST_BOUND].values_list("name", flat=True))


def _standing(using: str) -> QuerySet[Binding]:
    return Binding.objects.using(using).filter(removed_by="")


def _describe(rows: list[Binding], *, using: str) -> list[dict[str, Any]]:
    topics = set(Topic.objects.using(using).filter(name__in={r.topic for r in rows}).values_list("name", flat=True))
    queues = Queue.objects.using(using).filter(name__in={r.queue for r in rows}).select_related("owner")
    owners = {queue.name: queue.owner.name for queue in queues}
    return [
        {
            "name": row.name,
            "group": row.name,
            "topic": row.topic,
            "queue": row.queue,
            "owner": row.owner,
            "match_type": row.match_type,
            "match_headers": row.match_headers,
            "created_at": row.created_at,
            "created_by": row.created_by,
            "problem": _find_problem(row, topics, owners),
        }
        for row in rows
    ]


def _find_problem(row: Binding, topics: set[str], owners: dict[str, str]) -> str | None:
    if row.topic not in topics:
        return f"Topic {row.topic} is gone. Remove the binding, or create the topic again."
    if row.queue not in owners:
        return f"Queue {row.queue} is gone: records wait. Remove the binding, or create the queue again."
    if owners[row.queue] != row.owner:
        return f"Queue {row.queue} belongs to {owners[row.queue]} by now: records wait. Remove the binding."
    return None
