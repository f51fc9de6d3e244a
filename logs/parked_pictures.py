"""What pages draw of parked records. Pure: no query, no request. Where something leads, the template says."""

from collections.abc import Iterable, Sequence
from typing import Any

from logs.models import ParkedRecord
from logs.rows import Parked
from mqsite.payloads import as_text, read_beginning, shown_headers
from mqsite.words import say_count, say_counted, say_last_line, say_round_age, say_size, say_time

MOST_NEWEST = 5  # on the group's own page
EXCERPT_CHARACTERS = 120
MOST_KEY_CHARACTERS = 200
REASONS = dict(ParkedRecord.Reason.choices)

Picture = dict[str, Any]


def say_parked(count: int) -> str:
    """`3 records parked`"""
    return f"{say_counted(count, 'record')} parked"


def find_problems(parked: Iterable[Parked]) -> list[dict[str, Any]]:
    """One problem per group and topic: it waits for a person."""
    return [_find_problem(each) for each in parked]


def _find_problem(parked: Parked) -> dict[str, Any]:
    is_one = parked.records == 1 and not parked.is_more
    count = f"{say_count(parked.records)}{' or more' if parked.is_more else ''}"
    records = f"{count} {'record' if is_one else 'records'}"
    return {
        "key": f"parked:{parked.group}:{parked.topic}",
        "kind": "warn",
        "rank": (2, -parked.records),
        "title": f"{parked.group} has parked {records} of {parked.topic}",
        "lead": f"The oldest at {say_time(parked.oldest_at)}, {say_round_age(parked.oldest_seconds)} ago.",
        "text": _say_wait(parked, is_one),
        "group": parked.group,
        "topic": parked.topic,
        "action": "See the record" if is_one else f"See the {records}",
    }


def _say_wait(parked: Parked, is_one: bool) -> str:
    it, they = ("it", "It waits") if is_one else ("them", "They wait")
    if parked.asked == parked.records:
        return f"{they} for a worker to try {it} again."
    asked = f" {say_count(parked.asked)} will be tried again." if parked.asked else ""
    return f"{they} until someone retries or drops {it}.{asked}"


def draw_newest(records: Sequence[dict[str, Any]], count: int) -> Picture:
    """Rows of text: when, which record, key, why, error, attempts and whether it will be tried again."""
    rows = []
    for record in records[:MOST_NEWEST]:
        row = draw_row(record)
        cells = [row["when"], row["place"], row["key"], row["why"], row["error"], row["attempts"], row["asked"]]
        rows.append({"key": str(row["id"]), "cells": cells})
    hidden = count - len(rows)
    return {"rows": rows, "said": f"The newest {len(rows)} of {say_count(count)}." if hidden > 0 else ""}


def draw_row(record: dict[str, Any]) -> Picture:
    """One parked record with all that is shown of it: its value from the beginning, headers, error."""
    size, text, cut = record["size"], "", ""
    if size is not None:
        text, shown = read_beginning(record["beginning"], size)
        cut = "" if size <= shown else f"The first {say_size(shown)} of {say_size(size)}."
    headers, hidden = shown_headers(record["raw_headers"])
    by = record["retry_asked_by"]
    return {
        "id": record["id"],
        "when": say_time(record["parked_at"]),
        "place": f"{record['topic']}-{record['partition']}@{record['offset']}",
        "key": _cut(as_text(record["key"]) or "", MOST_KEY_CHARACTERS),
        "why": REASONS.get(record["reason"], record["reason"]),
        "error": say_last_line(record["detail"]),
        "detail": record["detail"],
        "attempts": say_count(record["attempts"]),
        "asked": "" if by is None else f"will be tried again, asked by {by}",
        "published": say_time(record["timestamp"]),
        "content_type": record["content_type"] or "",
        "excerpt": _cut(text, EXCERPT_CHARACTERS),
        "text": text,
        "size": "no value" if size is None else say_size(size),
        "cut": cut,
        "headers": headers,
        "more_headers": f"and {say_count(hidden)} more" if hidden else "",
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
