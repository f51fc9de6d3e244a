"""A topic is bound to a queue, and let go."""

from collections.abc import Mapping

from django.db import IntegrityError, transaction

from bindings import selectors
from bindings.errors import BinderNotOwner, BindingAlreadyExists
from bindings.models import Binding
from logs import selectors as logs_selectors
from logs import services as logs
from logs.errors import GroupAlreadyExists, GroupNotFound, NonEmptyGroup
from mqsite.audit import record_action
from mqsite.boundaries import NAME_LIMIT, require_name
from mqsite.errors import Invalid
from mqsite.payloads import is_storable
from queues import selectors as queues_selectors

MAX_MATCHED_HEADERS = 20
MAX_TEXT_CHARACTERS = 249


def bind(
    topic: str,
    queue: str,
    *,
    boundary: str,
    actor: str,
    name: str | None = None,
    match_type: str = "",
    match_headers: Mapping[str, str] | None = None,
    start: str = "latest",
    reason: str = "",
    using: str = "default",
) -> str:
    """Let records of the topic become messages of the queue, each exactly once; the name of the binding.

    Those that match: `match_type` is the value of their header ce_type or type, `match_headers` are all there. A
    consumer group of the binding's name reads them from `start` on: see `logs.policies`. Only the queue's owner binds.
    """
    wanted = _check_match(match_type, match_headers or {})
    queue_row = queues_selectors.require_queue(queue, using=using)
    if queue_row.owner.name != boundary:
        raise BinderNotOwner(owner=queue_row.owner.name, verb="binds", name=queue, boundary=boundary or "nobody")
    logs_selectors.require_topic(topic, using=using)
    name = require_name(name or f"{queue}.from.{topic}"[:NAME_LIMIT], "binding")
    try:
        with transaction.atomic(using=using):
            Binding.objects.using(using).create(
                name=name,
                topic=topic,
                queue=queue,
                owner=boundary,
                match_type=match_type,
                match_headers=wanted,
                created_by=actor,
            )
            logs.create_group(name, owner=boundary, topics=[topic], auto_offset_reset=start, using=using)
            facts = {"topic": topic, "queue": queue, "type": match_type, "headers": wanted, "start": start}
            record_action(actor=actor, action="bind", subject=name, reason=reason, facts=facts, using=using)
    except (IntegrityError, GroupAlreadyExists) as error:
        raise BindingAlreadyExists(binding=name) from error
    return name


def unbind(name: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    """Stop: what is in the queue stays there. The group goes as soon as no worker reads for it any more."""
    with transaction.atomic(using=using):
        row = selectors.require_binding(name, using=using)
        row.removed_by, row.removed_reason = actor, reason
        row.save(using=using, update_fields=["removed_by", "removed_reason"])
        record_action(actor=actor, action="unbind", subject=name, reason=reason, using=using)
    clear_removed(using=using)


def clear_removed(*, using: str = "default") -> int:
    """Take removed bindings and their groups away, once their workers have let go; how many went."""
    gone = 0
    for row in Binding.objects.using(using).exclude(removed_by=""):
        try:
            with transaction.atomic(using=using):
                logs.delete_group(row.name, actor=row.removed_by, reason=row.removed_reason, using=using)
                row.delete(using=using)
        except NonEmptyGroup:
            continue
        except GroupNotFound:
            Binding.objects.using(using).filter(pk=row.pk).delete()
        gone += 1
    return gone


def _check_match(match_type: str, match_headers: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(match_headers, Mapping) or len(match_headers) > MAX_MATCHED_HEADERS:
        raise Invalid(reason=f"match_headers are at most {MAX_MATCHED_HEADERS} names with their values.")
    for text in (match_type, *match_headers, *match_headers.values()):
        if not isinstance(text, str) or len(text) > MAX_TEXT_CHARACTERS or not is_storable(text):
            raise Invalid(reason=f"A type or header to match is text of at most {MAX_TEXT_CHARACTERS} characters.")
    return dict(match_headers)
