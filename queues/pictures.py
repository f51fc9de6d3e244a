"""What a page draws of a queue: the selectors' answers as words, cards and squares.

The template draws it first and the script then moves it, both from these dicts, so
that no rule of wording or aggregation is written twice. Pure: no query, no request.
"""

from collections import Counter
from typing import Any

from mqsite.words import say_age, say_count, say_counted, say_holder, say_last_line, say_round_age, say_time, say_wait

LATE_SECONDS = 300.0  # the limit of every queue until queues have their own
FRESH_SECONDS = 5.0
# A lane draws every message as a card up to here: as many as the selector gives, or what fits a narrow lane.
MOST_CARDS = {"scheduled": 8, "ready": 24, "waiting": 24, "leased": 16, "dead": 24}
MOST_SQUARES = 300  # then as squares: one a message up to here, then a round number each
MOST_LETTERS = 10  # rows of dead letters; the others are one link away
MOST_SOURCES = 20  # names of queues whose dead letters come here
MOST_PHONE_CARDS = 9  # three rows; the rest is counted
COLUMNS = {
    "scheduled": 22,
    "ready": 42,
    "waiting": 80,
    "leased": 28,
    "dead": 80,
}  # of squares, so that all have one size

LANES = ("scheduled", "ready", "leased", "dead")
HINTS = {
    "scheduled": "not before their time",
    "ready": "by priority, then oldest first",
    "leased": "a worker has each until its lease ends",
    "waiting": "each behind the head of its group key",
}
# What queues/sql/nack.sql and reap.sql write down, in words.
REASONS = {
    "rejected": "rejected by the handler",
    "max_receives": "out of receives",
    "lease expired": "out of receives, the last lease ran out",
    "worker died": "out of receives, its worker died of it",
    "expired": "not received in its time",
}

Queue = dict[str, Any]
Picture = dict[str, Any]


def draw_queue(queue: Queue, *, payload_free: bool = False) -> Picture:
    """One queue as its lanes."""
    shown = (*LANES, "waiting") if queue["is_ordered"] else LANES
    lanes = {lane: _draw_lane(queue, lane, payload_free) for lane in shown}
    return {
        "name": queue["name"],
        "owner": queue["owner"],
        "description": queue["description"],
        "lease": f"lease {say_wait(queue['lease_seconds'])}, {say_counted(queue['max_receives'], 'receive')}",
        "max_receives": queue["max_receives"],
        "paused": queue["paused"],
        "say": say_queue(queue),
        "state": _state(queue),
        "honest": "Every message is drawn."
        if all(lane["unit"] <= 1 for lane in lanes.values())
        else "A square stands for many messages where its lane says so.",
        "lanes": lanes,
        "dead": queue["counts"]["dead"],
        "shape": queue["name"],
    }


def draw_queue_row(queue: Queue) -> Picture:
    """One line of the list of queues."""
    seconds = queue["oldest_ready_seconds"]
    return {
        "name": queue["name"],
        "owner": queue["owner"],
        "description": queue["description"],
        **{lane: _say_lane_count(queue, lane) for lane in LANES},
        "waiting": _say_lane_count(queue, "waiting") if queue["counts"]["waiting"] else "",
        "any_dead": queue["counts"]["dead"] > 0,
        "oldest": "" if seconds is None else say_age(seconds),
        "state": _state(queue),
        "say": {"idle": "paused", "warn": "behind"}.get(_state(queue), "keeping up"),
    }


def draw_dead(queue: Queue, *, payload_free: bool = False) -> Picture:
    """The oldest dead letters as rows of text: died, message, group key, reason, detail, receives."""
    rows = [
        {
            "key": str(card["id"]),
            "cells": [
                _say_death(card),
                str(card["id"]),
                "" if card["label"] == str(card["id"]) else card["label"],
                _say_reason(card["reason"], card["receives"]),
                say_last_line(card["detail"]),
                str(card["receives"]),
            ],
        }
        for card in queue["cards"]["dead"][:MOST_LETTERS]
        if not payload_free
    ]
    dead = queue["counts"]["dead"]
    said = "" if dead <= len(rows) else f"the oldest {len(rows)} of {_say_lane_count(queue, 'dead')}"
    return {"rows": rows, "said": said}


def say_queue(queue: Queue) -> str:
    """`9 ready, the oldest for 3.1 s. Keeping up.`"""
    ready, leased, seconds = queue["counts"]["ready"], queue["counts"]["leased"], queue["oldest_ready_seconds"]
    waits = f"{_say_lane_count(queue, 'ready')} ready"
    if seconds is not None:
        waits += f", the oldest for {say_age(seconds)}"
    if waiting := queue["counts"].get("waiting"):
        waits += f", {_say_lane_count(queue, 'waiting')} behind their keys' heads"
    if queue["paused"]:
        return f"Paused. {waits if ready or waiting else 'Nothing waits'}."
    if not ready and not waiting:
        return f"Nothing waits, {leased:,} leased." if leased else "Nothing waits."
    return f"{waits}. {'Behind.' if (seconds or 0) > LATE_SECONDS else 'Keeping up.'}"


def find_problems(queues: list[Queue], *, payload_free: bool = False) -> list[dict[str, Any]]:
    """Dead letters, and queues whose oldest ready message is older than their limit."""
    found = []
    for queue in queues:
        if queue["counts"]["dead"]:
            found.append(_find_dead(queue, payload_free))
        if (queue["oldest_ready_seconds"] or 0) > LATE_SECONDS and not queue["paused"]:
            found.append(_find_late(queue))
    return sorted(found, key=lambda p: p["rank"])


def _find_dead(queue: Queue, payload_free: bool) -> dict[str, Any]:
    dead, cards = queue["counts"]["dead"], queue["cards"]["dead"]
    since = f" since {_say_minute(cards[0])}" if cards else ""
    reasons = Counter(REASONS.get(card["reason"], card["reason"]) for card in cards)
    why = "" if payload_free else _list_reasons(reasons, of=dead)
    letters = "dead letter" if dead == 1 else "dead letters"
    return {
        "key": f"dead:{queue['name']}",
        "kind": "bad",
        "rank": (2, -dead),
        "title": f"{_say_lane_count(queue, 'dead')} {letters} in {queue['name']}{since}",
        "lead": "",
        "text": f"{why}{'It waits' if dead == 1 else 'They wait'} until someone redrives or purges "
        f"{'it' if dead == 1 else 'them'}.",
        "queue": queue["name"],
        "action": "See the letter" if dead == 1 else f"See the {_say_lane_count(queue, 'dead')} letters",
    }


def _list_reasons(reasons: Counter[str], *, of: int) -> str:
    seen = reasons.total()
    if not reasons:
        return ""
    if seen < of:
        return f"Of the oldest {seen}: {', '.join(f'{n} {reason}' for reason, n in reasons.most_common(4))}. "
    if len(reasons) == 1:
        (reason, count), *_ = reasons.items()
        return f"{reason[:1].upper()}{reason[1:]}. " if count == 1 else f"All of them {reason}. "
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(4)) + ". "


def _find_late(queue: Queue) -> dict[str, Any]:
    seconds = queue["oldest_ready_seconds"]
    return {
        "key": f"late:{queue['name']}",
        "kind": "warn",
        "rank": (3, -seconds),
        "title": f"{queue['name']} is {say_round_age(seconds)} behind",
        "lead": "",
        "text": f"{_say_lane_count(queue, 'ready')} ready, {_say_lane_count(queue, 'leased')} leased. "
        f"{queue['owner']} handles this queue.",
        "queue": queue["name"],
        "action": "Look at the queue",
    }


def _state(queue: Queue) -> str:
    if queue["paused"]:
        return "idle"
    return "warn" if (queue["oldest_ready_seconds"] or 0) > LATE_SECONDS else "ok"


def _draw_lane(queue: Queue, lane: str, payload_free: bool) -> Picture:
    count, cards = queue["counts"][lane], queue["cards"][lane]
    as_cards = count <= MOST_CARDS[lane]
    unit = 1 if as_cards else _choose_unit(count)
    return {
        "n": count,
        "count": _say_lane_count(queue, lane),
        "hint": _say_hint(queue, lane),
        "cards": [_draw_card(queue, lane, card, payload_free) for card in cards] if as_cards else [],
        "more": f"and {count - MOST_PHONE_CARDS} more" if as_cards and count > MOST_PHONE_CARDS else "",
        "unit": unit,
        "squares": None if as_cards else _draw_squares(-(-count // unit), COLUMNS[lane]),
        "said": "" if as_cards else "1 square is 1 message." if unit == 1 else f"1 square is {unit:,} messages.",
    }


def _draw_squares(squares: int, columns: int) -> Picture:
    """A field of squares as two rectangles filled with a pattern: the full rows, and the last one."""
    rows, rest = divmod(squares, columns)
    return {
        "box": f"0 0 {columns * 10} {max(1, rows + bool(rest)) * 10}",
        "width": columns * 10,
        "full": rows * 10,
        "rest": rest * 10,
    }


def _choose_unit(count: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... with which the lane needs at most MOST_SQUARES squares."""
    unit, steps = 1, (2.0, 2.5, 2.0)
    turn = 0
    while -(-count // unit) > MOST_SQUARES:
        unit = int(unit * steps[turn % 3])
        turn += 1
    return unit


def _draw_card(queue: Queue, lane: str, card: dict[str, Any], payload_free: bool) -> Picture:
    drawn = {"id": str(card["id"]), "label": str(card["id"]) if payload_free else card["label"], "left": ""}
    receives = card.get("receives", 0)
    drawn["times"] = f"{receives}\u00d7" if receives > (1 if lane == "leased" else 0) and lane != "dead" else ""
    if lane == "scheduled":
        drawn["fact"] = f"in {say_wait(card['due_in'])}"
    elif lane in {"ready", "waiting"}:
        drawn["fact"] = say_age(card["age"])
    elif lane == "leased":
        drawn["fact"] = "leased" if payload_free else say_holder(card["worker"]) or "leased"
        share = card["lease_left"] / (queue["lease_seconds"] or 1)
        drawn["left"] = f"{100 * min(1.0, max(0.0, share)):.1f}%"
    else:
        drawn["fact"] = _say_death(card)
    return drawn


def _say_lane_count(queue: Queue, lane: str) -> str:
    count = queue["counts"][lane]
    return f"{count:,} or more" if count >= queue["count_limit"] else say_count(count)


def _say_hint(queue: Queue, lane: str) -> str:
    if lane == "dead":
        return _say_dead_hint(queue)
    return "one of each key, in turn" if lane == "ready" and queue["is_ordered"] else HINTS[lane]


def _say_dead_hint(queue: Queue) -> str:
    cards = queue["cards"]["dead"]
    if not cards:
        return f"a message comes here after {say_counted(queue['max_receives'], 'failed receive')}"
    return f"since {_say_minute(cards[0])}; kept until redriven or purged"


def _say_death(card: dict[str, Any]) -> str:
    return say_time(card["died_at"]) if card["died_at"] else ""


def _say_minute(card: dict[str, Any]) -> str:
    """`09:14` of `09:14:02`."""
    said = _say_death(card)
    return said[:5] if said[2:3] == ":" else said


def _say_reason(reason: str, receives: int) -> str:
    if reason == "max_receives":
        return f"all {say_counted(receives, 'receive')} failed"
    return REASONS.get(reason, reason)
