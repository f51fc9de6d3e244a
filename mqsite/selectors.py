"""Questions that need both halves."""

from typing import Any

from logs import selectors as logs
from logs.handlers import subscriptions
from mqsite import workers as processes
from queues import listings
from queues import selectors as queues
from queues.handlers import handled as handled_queues

MAX_UNCLAIMED = 100  # of each half

# A handler that no process alive runs; one that some run; none, as far as anybody remembers.
MISSING, HANDLED, NONE = STATES = ("missing", "handled", "none")


def drift() -> list[str]:
    """Where what is declared in code and what the database holds differ, a sentence each."""
    return logs.drift() + queues.drift()


def workers() -> dict[str, Any]:
    """How many worker processes are heard of, and how long ago the quietest of them was."""
    return processes.count_alive()


def list_handlers() -> list[dict[str, Any]]:
    """Whatever has a handler in this application or in a worker process, and the queues and groups without any:
    `{"name", "function", "workers", "last", "state"}` each. `name` as a heartbeat has it: `queues:bookings`,
    `logs:billing:orders`; `function`: its handler here, None: it has none; `workers`: the processes alive that handle
    it; `last`: one that did and vanished. What has a handler that nobody runs comes first, what has none last.
    """
    told: dict[str, dict[str, Any]] = {}

    def tell(name: str) -> dict[str, Any]:
        return told.setdefault(name, {"name": name, "function": None, "workers": [], "last": None})

    for subscription in subscriptions:
        tell(logs.handled_name(subscription.group.name, subscription.topic))["function"] = str(subscription)
    for handled in handled_queues:
        tell(f"queues:{handled.queue}")["function"] = str(handled)
    for process, names in processes.find_alive():
        for name in names:
            tell(name)["workers"].append(process)
    for process, names in processes.find_vanished():
        for name in names:
            tell(name)["last"] = process
    parts = [name.split(":") for name in told]
    pairs = {(part[1], part[2]) for part in parts if part[0] == "logs" and len(part) == 3}
    for group, topic in logs.list_unclaimed(pairs, limit=MAX_UNCLAIMED):
        tell(logs.handled_name(group, topic))
    for queue in listings.list_unclaimed([part[1] for part in parts if part[0] == "queues"], limit=MAX_UNCLAIMED):
        tell(f"queues:{queue}")
    for handler in told.values():
        handler["state"] = _find_state(handler)
    return sorted(told.values(), key=lambda handler: (STATES.index(handler["state"]), handler["name"]))


def _find_state(handler: dict[str, Any]) -> str:
    if handler["workers"]:
        return HANDLED
    return MISSING if handler["function"] or handler["last"] else NONE
