"""What waits for workers, for tests that run without one."""

import json
from typing import Any

from django.conf import settings

from mqsite import hints

Target = tuple[str, str, int]


def key(*parts: str) -> str:
    return ":".join([settings.MQSITE_PREFIX, *parts])


def listed() -> list[Any]:
    """The targets on the list, the first first."""
    return [tuple(json.loads(errand)[2]) for errand in hints.client().lrange(key("errands"), 0, -1)]


def count_calls() -> int:
    """How many Celery tasks wait in the broker that make a worker look at the list."""
    return sum(b"mqsite.consume" in message for message in hints.client().lrange(key("consume"), 0, -1))


def forget_all() -> None:
    """As if nothing had ever been woken."""
    for pattern in ("nudge:*", "standby*", "errands", "calls", "consume"):
        for found in hints.client().scan_iter(key(pattern)):
            hints.client().delete(found)
