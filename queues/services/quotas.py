"""A boundary sends no more than it may."""

import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from mqsite import beside, workers
from mqsite.audit import record_action
from mqsite.boundaries import ensure_boundary
from mqsite.errors import Invalid
from mqsite.remembered import Remembered
from mqsite.sql import in_transaction
from queues import rows, store
from queues.errors import QuotaExceeded
from queues.models import Quota

KNOWN_SECONDS = 5.0  # a new quota is minded by every process after that long
MOST = 2**53

# Boundaries without a quota, until when that is taken for granted.
_free: Remembered[tuple[str, str], float] = Remembered()


def set_quota(
    boundary: str,
    *,
    max_messages: int | None = None,
    max_bytes: int | None = None,
    max_per_second: float | None = None,
    actor: str,
    reason: str = "",
    using: str = "default",
) -> None:
    """What a boundary may have standing of what it sent (messages that are not dead, bytes of their payloads), and how
    many messages a second it may send; None: as many as it likes. All processes mind it within 5 s."""
    limits = {"max_messages": max_messages, "max_bytes": max_bytes, "max_per_second": max_per_second}
    check_limits(limits)
    with transaction.atomic(using=using):
        owner = ensure_boundary(boundary, using=using)
        if any(value is not None for value in limits.values()):
            Quota.objects.using(using).update_or_create(boundary=owner, defaults=limits)
        else:
            Quota.objects.using(using).filter(boundary=owner).delete()
        record_action(actor=actor, action="set quota", subject=boundary, reason=reason, facts=limits, using=using)
    _free.clear()


def check_limits(limits: Mapping[str, Any]) -> None:
    for name, value in limits.items():
        kinds = int | float if name == "max_per_second" else int
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value <= MOST):
            raise Invalid(reason=f"{name} is {value!r}; allowed are numbers above 0 up to {MOST:,}, or None.")


def may_be_limited(sender: str, *, using: str) -> bool:
    return time.monotonic() >= _free.get((using, sender), 0.0)


def spend(sender: str, messages: int, size: int, *, using: str) -> None:
    """Refuse what is more than the sender may, with the numbers. What is granted is spent, even if the send or its
    transaction fails: until the next count. `size`: bytes."""
    spent = store.spend(sender, messages, size, using=using)
    if in_transaction(using) and not workers.has_timers():
        beside.close(using)
    if spent is None:
        _free.remember((using, sender), time.monotonic() + KNOWN_SECONDS)
    elif not spent.granted:
        raise QuotaExceeded(boundary=sender, said=_say(spent, messages, size), wanted=messages)


def _say(spent: rows.Spent, messages: int, size: int) -> str:
    if spent.max_messages is not None and spent.used_messages + messages > spent.max_messages:
        return f"has {spent.used_messages:,} messages standing and may have {spent.max_messages:,}"
    if spent.max_bytes is not None and spent.used_bytes + size > spent.max_bytes:
        return f"has {spent.used_bytes:,} bytes standing and may have {spent.max_bytes:,}"
    return f"may send {spent.max_per_second:g} messages a second, and {max(0, int(spent.tokens or 0)):,} at this moment"
