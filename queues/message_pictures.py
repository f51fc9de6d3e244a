"""What the pages draw besides lanes: messages, who handles them, redrives, outcomes and settings in words.

Pure: no query, no request. Where something leads, the template says.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from mqsite.handling import AT_MOST_ONCE
from mqsite.handling_words import say_options, say_retry
from mqsite.payloads import read_beginning, shown_headers
from mqsite.words import (
    say_count,
    say_counted,
    say_duration,
    say_holder,
    say_last_line,
    say_moment,
    say_round_age,
    say_size,
    say_time,
    say_wait,
)
from queues.handlers import Handled
from queues.pictures import REASONS
from queues.rows import Outcome

EXCERPT_CHARACTERS = 120
BACK = {**REASONS, "retry": "its handler failed", "give back": "given back"}
STATES = {
    "ready": "ready to be received",
    "waiting": "waiting behind the head of its group key",
    "scheduled": "scheduled",
    "leased": "leased",
    "dead": "dead",
}
# What became of it, and whether by somebody.
OUTCOMES = {"acked": "acknowledged", "died": "died", "expired": "expired", "cancelled": "cancelled"}

Picture = dict[str, Any]


def draw_pause(queue: dict[str, Any]) -> Picture:
    """A note with who, when and why, where the queue is paused."""
    pause = queue["pause"]
    if pause is None:
        return {"notes": [], "shape": ""}
    said = f"{pause['by']} paused it at {say_time(pause['at'])}"
    text = f"{said}: {pause['reason']}" if pause["reason"] else f"{said}."
    note = {"title": f"{queue['name']} is paused: nobody receives.", "text": text}
    return {"notes": [note], "shape": _shape(note)}


def draw_holders(holders: list[dict[str, Any]]) -> Picture:
    """Rows of text: who, what it is, how much it has in hand, until when."""
    workers = sum(holder["is_worker"] for holder in holders)
    said = f"{say_counted(workers, 'worker process', 'worker processes')} alive with its handler."
    if not workers:
        said = "No worker process alive has its handler."
    return {"rows": [_draw_holder(holder) for holder in holders], "said": said}


def _draw_holder(holder: dict[str, Any]) -> Picture:
    left = holder["lease_left"]
    return {
        "key": holder["name"],
        "cells": [
            say_holder(holder["name"]) or "no name",
            "worker process" if holder["is_worker"] else "receives by hand",
            say_counted(holder["messages"], "message") if holder["messages"] else "nothing at this moment",
            "" if left is None else f"in {say_wait(left)}",
        ],
    }


def draw_redrives(jobs: Iterable[dict[str, Any]]) -> Picture:
    """Rows of text: what, progress, who. `running` says which can be cancelled; the shape changes with it."""
    rows = [_draw_redrive(job) for job in jobs]
    running = [row["key"] for row in rows if row["running"]]
    return {"rows": rows, "shape": "|".join(f"{row['key']}{'' if row['running'] else ' ended'}" for row in rows)} | {
        "said": f"{say_counted(len(running), 'job')} at work." if running else "None is at work."
    }


def _draw_redrive(job: dict[str, Any]) -> Picture:
    letters = f"{say_count(job['letters'])}{' or more' if job['letters'] >= job['count_limit'] else ''}"
    moved = f"{say_count(job['moved'])} moved, {say_count(job['scanned'])} of {letters} looked at"
    ended = f", {job['state']} at {say_time(job['ended_at'])}" if job["ended_at"] else ""
    return {
        "key": str(job["id"]),
        "running": job["state"] == "running",
        "cells": [
            str(job["id"]),
            _say_which(job),
            "to the tail of " + (job["to"] or "the queue each died in"),
            moved + ended,
            f"{job['rate_per_second']:g} a second" if job["rate_per_second"] else "as fast as it goes",
            f"{job['started_by']} at {say_time(job['started_at'])}",
        ],
    }


def _say_which(job: dict[str, Any]) -> str:
    if job["is_chosen"]:
        return "chosen letters"
    said = [
        f"reason: {REASONS.get(job['only_reason'], job['only_reason'])}" if job["only_reason"] else "",
        f"with “{job['only_text']}”" if job["only_text"] else "",
        f"died after {say_time(job['died_after'])}" if job["died_after"] else "",
        f"died before {say_time(job['died_before'])}" if job["died_before"] else "",
    ]
    return ", ".join(filter(None, said)) or "all letters"


def draw_outcomes(outcomes: Iterable[Outcome], seconds: int) -> Picture:
    """Rows of text: when, which message, what became of it, after how many receives."""
    rows = [
        {
            "key": f"{outcome.id}-{outcome.at.timestamp()}-{outcome.outcome}",
            "id": str(outcome.id),
            "cells": [
                say_time(outcome.at),
                str(outcome.id),
                say_outcome(outcome),
                outcome.correlation_id or "",
                str(outcome.receives),
            ],
        }
        for outcome in outcomes
    ]
    said = f"Kept for {say_duration(seconds * 1000)}, without payload." if seconds else "Not kept for this queue."
    return {"rows": rows, "said": said}


def say_outcome(outcome: Outcome) -> str:
    """`acknowledged by care-1`, `died: out of receives`"""
    said = OUTCOMES.get(outcome.outcome, outcome.outcome)
    if outcome.by:
        said += f" by {say_holder(outcome.by)}"
    if outcome.reason and outcome.outcome == "died":
        said += f": {REASONS.get(outcome.reason, outcome.reason)}"
    return said


def draw_gone(outcomes: list[Outcome]) -> str:
    """`Acknowledged by care-1, 4 seconds ago, after 2 receives. Nothing else of it is kept.`"""
    last = outcomes[0]
    ago = say_round_age((timezone.now() - last.at).total_seconds())
    said = say_outcome(last)
    after = f", after {say_counted(last.receives, 'receive')}" if last.receives else ""
    return f"{said[:1].upper()}{said[1:]}, {ago} ago{after}. Nothing else of it is kept."


def draw_message_row(message: dict[str, Any]) -> Picture:
    """One line of a list of messages."""
    is_dead = message["died_at"] is not None
    return {
        "id": message["id"],
        "is_letter": message["is_letter"],
        "key": message["group_key"] or "",
        "priority": message["priority"],
        "receives": message["receives"],
        "sender": message["sender"],
        "when": say_place(message),
        "why": _say_why(message) if is_dead else "",
        "error": say_last_line(message["detail"] or "") if is_dead else "",
        "text": read_beginning(message["beginning"], message["size"])[0][:EXCERPT_CHARACTERS],
        "size": say_size(message["size"]),
    }


def draw_message(message: dict[str, Any]) -> Picture:
    """All there is of a message: where it is, its facts, its payload as far as it is shown, headers, error."""
    size = message["size"]
    text, shown = read_beginning(message["beginning"], size)
    cut = "" if size <= shown else f"The first {say_size(shown)} of {say_size(size)}."
    headers, hidden = shown_headers(message["raw_headers"])
    state = message["state"]
    return {
        "id": message["id"],
        "queue": message["queue"],
        "state": state,
        "say": f"It is {STATES[state]}{_say_until(message)}.",
        "facts": _draw_facts(message),
        "text": text,
        "size": say_size(size),
        "cut": cut,
        "headers": headers,
        "more_headers": f"and {hidden:,} more" if hidden else "",
        "why": _say_why(message),
        "error": message["detail"] or "",
        "can_cancel": state in {"ready", "scheduled", "waiting"},
        "can_redrive": message["is_letter"],
    }


def say_place(message: dict[str, Any]) -> str:
    """When it may be received, until when it is leased, since when it lies there."""
    state = message["state"]
    if state == "scheduled" and message["due_at"]:
        return f"due {say_time(message['due_at'])}"
    if state == "leased" and message["lease_until"]:
        return f"{say_holder(message['holder'])} until {say_time(message['lease_until'])}"
    if message["is_letter"] and message["died_at"]:
        return f"died {say_time(message['died_at'])}"
    return f"since {say_time(message['due_at'] or message['enqueued_at'])}"


def draw_handler(handled: Handled | None) -> Picture | None:
    """The queue's handler in this application with what it was asked to do; None: it has none here."""
    if handled is None:
        return None
    options = handled.options
    delivery, calls, limits = say_options(options, noun="message", end="ack")
    retry = "as the settings below say: receives, then the back-off"
    if options.delivery == AT_MOST_ONCE:
        retry = "never called twice"
    elif options.retry:
        retry = say_retry(options.retry, forever="as many receives as the settings below say")
    return {"function": str(handled), "options": [delivery, calls, ("Retry", retry), limits]}


def draw_settings(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Each setting as a label and a sentence, in the order a message meets them."""
    ttl, first, dedup = settings["message_ttl_seconds"], settings["backoff_seconds"], settings["dedup_seconds"]
    order = "first in first out for each group key, keys in parallel; neither priority nor delay"
    length, letters = settings["max_length"], settings["dead_letter_queue"]
    waits = f"{_say_seconds(first)} after the first failure, doubled each time, at most "
    waits += f"{_say_seconds(settings['backoff_max_seconds'])}; {settings['backoff_jitter']:.0%} left to chance"
    return [
        ("Order", order if settings["is_ordered"] else "higher priority first, then first in first out"),
        ("Length", f"at most {say_count(length)} messages, then sends are refused" if length else "no limit"),
        ("Duplicates", f"a deduplication id is remembered for {_say_seconds(dedup)}"),
        ("Lease", f"{_say_seconds(settings['lease_seconds'])} for what was received"),
        ("After a failure", waits if first else "ready again at once"),
        ("Dies", f"after {say_counted(settings['max_receives'], 'receive')}" + _say_ttl(ttl)),
        ("Dead letters", f"go to {letters}" if letters else "stay here until redriven or purged"),
        ("Outcomes", _say_outcome_time(settings["outcome_seconds"])),
    ]


def _say_ttl(seconds: float | None) -> str:
    return f", or {_say_seconds(seconds)} unreceived" if seconds else "; none of age"


def _say_outcome_time(seconds: int) -> str:
    return f"what became of a message can be asked for {_say_seconds(seconds)}" if seconds else "not kept"


def _say_seconds(seconds: float) -> str:
    return say_duration(round(seconds * 1000))


def _say_why(message: dict[str, Any]) -> str:
    reason = message["reason"] or ""
    receives = message["died_receives"] if message["died_receives"] is not None else message["receives"]
    if reason == "max_receives":
        return f"all {say_counted(receives, 'receive')} failed"
    return BACK.get(reason, reason)


def _say_until(message: dict[str, Any]) -> str:
    now = timezone.now()
    if message["state"] == "scheduled" and message["due_at"]:
        return f", due in {say_wait((message['due_at'] - now).total_seconds())}"
    if message["state"] == "leased" and message["lease_until"]:
        left = say_wait((message["lease_until"] - now).total_seconds())
        return f" by {say_holder(message['holder'])}, for {left} more unless it extends"
    if message["is_letter"] and message["died_at"]:
        died = f"died {say_round_age((now - message['died_at']).total_seconds())} ago"
        return f": it {died}" + (f" in {message['source']}" if message["source"] else "")
    return ""


def _draw_facts(message: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("Sent", f"{say_moment(message['enqueued_at'])}" + (f" by {message['sender']}" if message["sender"] else "")),
        ("Group key", message["group_key"]),
        ("Priority", say_count(message["priority"]) if message["priority"] else None),
        ("Due", say_moment(message["due_at"]) if message["state"] == "scheduled" else None),
        ("Expires", message["expires_at"] and say_moment(message["expires_at"])),
        ("Receives", say_count(message["receives"])),
        ("Leased by", message["holder"] and say_holder(message["holder"])),
        ("Died", message["died_at"] and say_moment(message["died_at"])),
        ("In", message["source"]),
        ("After", message["died_receives"] and say_counted(message["died_receives"], "receive")),
        ("Deduplication id", message["dedup_id"]),
        ("Content type", message["content_type"]),
        ("Size", say_size(message["size"])),
    ]
    return [(label, str(value)) for label, value in facts if value not in (None, "")]


def _shape(note: dict[str, str]) -> str:
    return hashlib.sha256(repr(note).encode()).hexdigest()[:16]
