"""Questions that need both halves."""

from typing import Any

from logs import selectors as logs
from mqsite import workers as processes
from queues import selectors as queues


def drift() -> list[str]:
    """Where what is declared in code and what the database holds differ, a sentence each."""
    return logs.drift() + queues.drift()


def workers() -> dict[str, Any]:
    """How many worker processes are heard of, and how long ago the quietest of them was."""
    return processes.count_alive()
