"""What pages draw of parked records. Pure: no query, no request. Where something leads, the template says."""

from collections.abc import Sequence
from typing import Any

from logs.models import ParkedRecord
from mqsite.payloads import as_text, read_beginning, shown_headers
from mqsite.words import say_count, say_counted, say_last_line, say_size, say_time

MOST_NEWEST = 5  # on the group's own page
EXCERPT_CHARACTERS = 120
MOST_KEY_CHARACTERS = 200
REASONS = dict(ParkedRecord.Reason.choices)

Picture = dict[str, Any]


def say_parked(count: int) -> str:
    """`3 records parked`"""
    return f"{say_counted(count, 'record')} parked"


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
