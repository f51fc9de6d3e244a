"""The record of what people and services changed by hand."""

from typing import Any

from mqsite.models import AuditEntry


def record_action(
    *, actor: str, action: str, subject: str, reason: str = "", facts: dict[str, Any] | None = None, using: str
) -> AuditEntry:
    """Write one entry in the transaction of the action itself."""
    return AuditEntry.objects.using(using).create(
        actor=actor, action=action, subject=subject, reason=reason, facts=facts or {}
    )
