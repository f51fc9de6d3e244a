"""What the pages of a consumer group draw besides its strips: pauses, members, past resets and a plan of one.

Pure: no query, no request. Where something leads, the template says.
"""

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

from logs.handlers import BLOCK, PARK, Subscription
from logs.selectors.groups import EMPTY, RECONCILING, STABLE
from logs.services.reset_plans import PlannedMove, ResetPlan
from mqsite.handling import AT_MOST_ONCE
from mqsite.handling_words import say_options, say_retry
from mqsite.words import say_count, say_counted, say_holder, say_time

MOST_MOVES = 3  # of a past reset; the others are folded away
MOST_PLANNED = 200  # rows of a plan; the sum counts all
FAILURES = {
    BLOCK: "blocks: its partition waits, so that the order is kept",
    PARK: "parks the record and goes on",
}
STATES = {
    STABLE: "Stable: everybody has what is theirs.",
    RECONCILING: "Reconciling: partitions are changing hands.",
    EMPTY: "Empty: nobody reads.",
}

Picture = dict[str, Any]


def draw_pauses(group: dict[str, Any]) -> Picture:
    """A note for each pause, with the places its button resumes."""
    counts = {topic["name"]: len(topic["partitions"]) for topic in group["topics"]}
    notes = [_draw_pause(group["group"], pause, counts) for pause in group["pauses"]]
    return {"notes": notes, "shape": hashlib.sha256(repr(notes).encode()).hexdigest()[:16] if notes else ""}


def _draw_pause(group: str, pause: dict[str, Any], counts: dict[str, int]) -> Picture:
    topic, numbers = pause["topic"], pause["partitions"] or []
    where, places = "", []
    if topic is not None:
        is_all = len(numbers) == counts.get(topic)
        places = [topic] if is_all else [f"{topic}:{number}" for number in numbers]
        where = f" on {topic}" if is_all else f" on {_say_partitions(numbers)} of {topic}"
    said = f"{pause['by']} paused it at {say_time(pause['at'])}"
    return {
        "title": f"{group} is paused{where}.",
        "text": f"{said}: {pause['reason']}" if pause["reason"] else f"{said}.",
        "places": places,
    }


def draw_members(members: Iterable[dict[str, Any]], state: str) -> Picture:
    """Rows of text: name, kind, partitions, client, since when."""
    return {"state": STATES[state], "rows": [_draw_member(member) for member in members]}


def _draw_member(member: dict[str, Any]) -> Picture:
    is_worker = member.get("is_worker", False)
    held: dict[str, list[int]] = {}
    for place in member["partitions"]:
        held.setdefault(place["topic"], []).append(place["partition"])
    reads = ", ".join(f"{topic} {', '.join(map(say_count, numbers))}" for topic, numbers in held.items())
    return {
        "key": member["member"],
        "cells": [
            say_holder(member["member"]),
            "worker process" if is_worker else "static" if member["is_static"] else "dynamic",
            reads or "none at this moment",
            member.get("client", ""),
            say_time(member["joined_at"]) if "joined_at" in member else "",
        ],
    }


def draw_handlers(subscriptions: Iterable[Subscription]) -> list[Picture]:
    """Each handler with what it was asked to do, as labels and sentences."""
    return [
        {"topic": each.topic, "function": str(each), "options": _draw_options(each)}
        for each in sorted(subscriptions, key=lambda each: each.topic)
    ]


def _draw_options(subscription: Subscription) -> list[tuple[str, str]]:
    delivery, calls, limits = say_options(subscription.options, noun="record", end="commit")
    if subscription.options.delivery == AT_MOST_ONCE:
        retry = "never called twice"
    else:
        retry = say_retry(subscription.retry, forever="as often as it takes")
    return [delivery, calls, ("On failure", FAILURES[subscription.on_failure]), ("Retry", retry), limits]


def draw_resets(resets: Iterable[dict[str, Any]]) -> Picture:
    rows = [draw_reset(reset) for reset in resets]
    return {"rows": rows, "shape": "|".join(f"{row['id']} {row['put_back']}" for row in rows)}


def draw_reset(reset: dict[str, Any]) -> Picture:
    """One past reset: who, when, what, why, and from where to where."""
    moves = [
        {
            "topic": move["topic"],
            "partition": move["partition"],
            "was": _say_place(move["from"]),
            "to": say_count(move["to"]),
        }
        for move in sorted(reset["partitions"], key=lambda move: (move["topic"], move["partition"]))
    ]
    undone = reset["undone_by"]
    return {
        "id": reset["id"],
        "when": say_time(reset["at"]),
        "actor": reset["actor"],
        "says": f"back {reset['says']}" if reset["mode"] == "by-duration" else reset["says"],
        "reason": reset["reason"],
        "moves": moves,
        "first": moves[:MOST_MOVES],
        "rest": moves[MOST_MOVES:],
        "count": say_counted(len(moves), "partition"),
        "put_back": f"put back by reset {undone[-1]}" if undone else "",
    }


def draw_plan(plan: ResetPlan, group: dict[str, Any], changed: Collection[int] = ()) -> Picture:
    """What a reset would do, as a sentence, as rows and on its button. `changed`: group partitions that stood
    otherwise in the preview before this one."""
    again, skipped = plan.records_to_replay, plan.records_to_skip
    ends = {(t["name"], p["number"]): (p["log_start"], p["log_end"]) for t in group["topics"] for p in t["partitions"]}
    longest = max((end - start for start, end in ends.values()), default=0) or 1
    rows = [
        {
            **_draw_move(move),
            "changed": move.group_partition_id in changed,
            "bar": _draw_bar(move, *ends.get((move.topic, move.partition), (0, 0)), longest),
        }
        for move in plan.moves[:MOST_PLANNED]
    ]
    moves = sum(move.current != move.new for move in plan.moves)
    all_there = sum(len(topic["partitions"]) for topic in group["topics"])
    return {
        "group": plan.group,
        "says": plan.says,
        "token": plan.token,
        "again": say_counted(again, "record") if again else "",
        "skipped": say_count(skipped) if skipped else "",
        "moves": moves,
        "again_total": say_count(again),
        "skipped_total": say_count(skipped),
        "places": _say_share(len(plan.moves), all_there),
        "has_topics": len({move.topic for move in plan.moves}) > 1,
        "rows": rows,
        "more": len(plan.moves) - len(rows),
        "warnings": plan.warnings,
        "button": _say_button(moves, again, skipped),
        "has_changed": bool(changed),
    }


def _say_share(some: int, all_there: int) -> str:
    if some >= all_there:
        return f"All {say_counted(some, 'partition')}"
    return f"{some:,} of {say_counted(all_there, 'partition')}"


def _say_button(moves: int, again: int, skipped: int) -> str:
    if not moves:
        return "Nothing to reset"
    if not again and not skipped:
        return f"Reset {say_counted(moves, 'partition')}"
    said = [f"{again:,} again"] if again else []
    return "Reset: " + ", ".join([*said, f"{skipped:,} skipped"] if skipped else said)


def _draw_move(move: PlannedMove) -> Picture:
    return {
        "topic": move.topic,
        "partition": move.partition,
        "now": _say_place(move.current),
        "after": say_count(move.new),
        "again": say_count(move.records_to_replay),
        "skipped": say_count(move.records_to_skip),
        "warning": move.warning,
    }


def _draw_bar(move: PlannedMove, start: int, end: int, longest: int) -> Picture:
    """Where it stands and where it would stand, on one scale for all partitions."""
    here = move.new + move.records_to_replay - move.records_to_skip

    def place(offset: int) -> float:
        return min(100.0, max(0.0, (offset - start) / longest * 100))

    low, high = sorted((place(here), place(move.new)))
    return {
        "bed": f"{max(0.4, place(end)):.2f}%",
        "now": f"{place(here):.2f}%",
        "after": f"{place(move.new):.2f}%",
        "low": f"{low:.2f}%",
        "width": f"{high - low:.2f}%",
        "is_skip": move.records_to_skip > 0,
    }


def _say_place(offset: int | None) -> str:
    return "not started" if offset is None else say_count(offset)


def _say_partitions(numbers: list[int]) -> str:
    noun = "partition" if len(numbers) == 1 else "partitions"
    return f"{noun} {', '.join(map(say_count, numbers))}"
