"""The record of what people and services changed by hand."""

from typing import Any

from mqsite.errors import Invalid
from mqsite.models import AuditEntry
from mqsite.payloads import is_storable

MAX_REASON_CHARACTERS = 10_000


def record_action(
    *, actor: str, action: str, subject: str, reason: str = "", facts: dict[str, Any] | None = None, using: str
) -> AuditEntry:
    """Write one entry in the transaction of the action itself."""
    require_reason(reason)
    return AuditEntry.objects.using(using).create(
        actor=actor, action=action, subject=subject, reason=reason, facts=facts or {}
    )


def require_reason(reason: str) -> None:
    """Refuse a reason that cannot be kept."""
    if len(reason) > MAX_REASON_CHARACTERS or not is_storable(reason):
        raise Invalid(reason=f"A reason is text of at most {MAX_REASON_CHARACTERS:,} characters, without NUL.")
