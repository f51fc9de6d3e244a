"""What the page of the workers draws. Pure: no query, no request."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from mqsite.selectors import MISSING, NONE
from mqsite.words import say_age, say_count, say_counted, say_holder, say_last_line, say_time, say_wait

MOST_HANDLERS = 200  # rows
MOST_NAMED = 3  # workers of a handler; the others are counted
MOST_SAID = 3  # handlers without a worker that the heading names
NOTHING = "nothing at this moment"

Picture = dict[str, Any]


def draw_head(alive: dict[str, Any], vanished: Sequence[str], handlers: Sequence[dict[str, Any]]) -> Picture:
    """The sentence and the facts below it; the shape is that of a group's head."""
    missing = [handler for handler in handlers if handler["state"] == MISSING]
    beat = alive["slowest_heartbeat_seconds"]
    heading = f"{say_counted(alive['alive'], 'worker process', 'worker processes')} alive"
    if not alive["alive"]:
        heading = "No worker process is alive"
    if 0 < len(missing) <= MOST_SAID:
        heading += ", nobody handles " + " and ".join(say_subject(handler["name"]) for handler in missing)
    elif missing:
        heading += f", nobody handles {say_count(len(missing))} of what has a handler"
    return {
        "heading": heading,
        "title": f"{heading} · Workers · mqsite",
        "facts": [
            "no heartbeat" if beat is None else f"slowest heartbeat {say_age(beat)} ago",
            f"{say_counted(len(vanished), 'process', 'processes')} vanished" if vanished else "none has vanished",
        ],
        "notes": [],
    }


def draw_processes(processes: Sequence[dict[str, Any]]) -> Picture:
    """Rows of text: name, since when, heartbeat, what it is at, how much it handled, its last error, what it handles.
    The shape changes with who is there, and with who is alive."""
    rows = [_draw_process(process) for process in processes]
    return {"rows": rows, "shape": "|".join(f"{row['key']} {row['state']}" for row in rows)}


def _draw_process(process: dict[str, Any]) -> Picture:
    is_alive, ago = process["is_alive"], process["heartbeat_seconds_ago"]
    at = ", ".join(process["working_on"])
    failed = process["failed_at"]
    return {
        "key": process["name"],
        "state": "ok" if is_alive else "warn",
        "cells": [
            say_holder(process["name"]),
            f"since {say_time(process['started_at'])}",
            f"{say_age(ago)} ago" if is_alive else f"vanished {say_wait(ago)} ago",
            (at or NOTHING) if is_alive else (f"was at {at}" if at else "was at nothing"),
            say_count(process["handled_last_minute"]) if is_alive else "",
            say_count(process["handled"]),
            say_time(failed) if failed else "",
            say_last_line(process["last_error"]) if failed else "none",
            f"handles {say_count(len(process['handles']))}",
            ", ".join(say_subject(name) for name in process["handles"]) or "no handler in its application",
        ],
    }


def draw_handlers(handlers: Sequence[dict[str, Any]]) -> Picture:
    """Rows of text: what is handled, by which function of this application, by whom. What nobody handles is first."""
    rows = [_draw_handler(handler) for handler in handlers[:MOST_HANDLERS]]
    hidden = len(handlers) - len(rows)
    return {
        "rows": rows,
        "said": f"{say_count(hidden)} more are not shown." if hidden else "What nobody handles comes first.",
        "shape": "|".join(f"{row['key']} {row['state']}" for row in rows),
    }


def _draw_handler(handler: dict[str, Any]) -> Picture:
    workers, last = handler["workers"], handler["last"]
    state, says = "ok", say_counted(len(workers), "worker process", "worker processes")
    who = ", ".join(say_holder(name) for name in workers[:MOST_NAMED])
    if len(workers) > MOST_NAMED:
        who += f" and {say_count(len(workers) - MOST_NAMED)} more"
    if handler["state"] == MISSING:
        state, says, who = "warn", "nobody handles it", f"{say_holder(last)} did, and vanished" if last else ""
    elif handler["state"] == NONE:
        by = "read" if handler["name"].startswith("logs:") else "received"
        state, says, who = "idle", "no handler", f"{by} by hand, if at all"
    return {
        "key": handler["name"],
        "state": state,
        "href": _lead_to(handler["name"]),
        "cells": [say_subject(handler["name"]), handler["function"] or "not in this application", says, who],
    }


def say_subject(name: str) -> str:
    """`queues:bookings` is `queue bookings`, `logs:billing:orders` is `orders for billing`."""
    half, _, rest = name.partition(":")
    group, _, topic = rest.partition(":")
    if half == "queues":
        return f"queue {rest}"
    return f"{topic} for {group}" if half == "logs" and topic else name


def _lead_to(name: str) -> str:
    half, _, rest = name.partition(":")
    if half == "queues":
        return reverse("queue", args=[rest])
    return reverse("group", args=[rest.partition(":")[0]]) if half == "logs" else ""
