"""What a page draws of a log: the selectors' answers as words and as places on a strip.

The template draws it first and the script then moves it, both from these dicts, so
that no rule of geometry or wording is written twice. Pure: no query, no request.
"""

from typing import Any

from logs.keeping import say_retention
from mqsite.words import (
    say_age,
    say_count,
    say_counted,
    say_holder,
    say_round_age,
    say_size,
    say_time,
    say_wait,
)

LATE_SECONDS = 300.0  # the limit of every group until groups have their own
FRESH_SECONDS = 5.0  # an unread record younger than this is simply on its way
WINDOWS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
WHOLE_LOG = 0  # the window that shows everything, on one scale for all partitions
MOST_NAMED_PARTITIONS = 8  # above: packed rows
MOST_NAMED_GROUPS = 4  # above: the furthest behind, and how many are not shown
MOST_LABEL_LETTERS = 24
SHOWN_RECORDS = 25  # on the page of a topic
SHAPES = 6  # from the seventh group on, a plain mark: told apart by name

Topic = dict[str, Any]
Picture = dict[str, Any]


def choose_window(topic: Topic, keep: int | None = None) -> int:
    """How many newest records the strips show. `keep`: the window now, left only when it no longer fits.

    Whole log when a group is further behind than a twentieth of it.
    """
    longest = max((p["log_end"] - p["log_start"] for p in topic["partitions"]), default=0)
    lag = max((_distance(p, g) for p in topic["partitions"] for g in p["groups"]), default=0)
    share = 20 if keep != WHOLE_LOG else 40
    if lag * share > topic["records"] or longest <= WINDOWS[0]:
        return WHOLE_LOG
    fitting = next((size for size in WINDOWS if size >= lag * 1.25), WINDOWS[-1])
    if keep and lag <= keep <= 5 * fitting:
        fitting = keep
    return fitting if fitting < longest else WHOLE_LOG


def draw_topic(topic: Topic, *, window: int | None = None, packed: bool = False, payload_free: bool = False) -> Picture:
    """One topic with its partitions as strips."""
    window = choose_window(topic) if window is None else window
    packed = packed or len(topic["partitions"]) > MOST_NAMED_PARTITIONS
    shown = _choose_groups(topic)
    longest = max((p["log_end"] - p["log_start"] for p in topic["partitions"]), default=0)
    partitions = [
        _draw_partition(p, shown, window=window, longest=longest, payload_free=payload_free)
        for p in topic["partitions"]
    ]
    hidden = len(topic["groups"]) - len(shown)
    return {
        "name": topic["name"],
        "owner": topic["owner"],
        "description": topic["description"],
        "records": say_counted(topic["records"], "record"),
        "size": say_size(topic["size_bytes"]),
        "window": window,
        "window_text": f"Newest {window:,} records of each partition" if window else "All kept records, on one scale",
        "packed": packed,
        "height": 24 + 17 * len(shown),
        "groups": [{"n": n, "name": name} for name, n in shown.items()],
        "more_groups": f"and {hidden} more" if hidden else "",
        "partitions": partitions,
        "shape": "|".join([str(len(partitions)), str(packed), str(hidden > 0), *shown]),
    }


def draw_records(records: list[dict[str, Any]]) -> Picture:
    """The newest records as rows of text: published, partition, offset, key, value, size."""
    return {
        "rows": [
            {
                "key": f"{record['partition']}:{record['offset']}",
                "cells": [
                    say_time(record["timestamp"]),
                    str(record["partition"]),
                    say_count(record["offset"]),
                    "" if record["key"] is None else record["key"],
                    record["value"] + ("…" if record["truncated"] else ""),
                    say_size(record["size"]),
                ],
            }
            for record in records
        ]
    }


def draw_group(group: dict[str, Any]) -> Picture:
    """A group's sentence and what holds it up."""
    problems = find_problems(group["topics"])
    lag = sum(g["lag"] for t in group["topics"] for p in t["partitions"] for g in p["groups"])
    members = {g["owner"] for t in group["topics"] for p in t["partitions"] for g in p["groups"] if g["owner"]}
    partitions = sum(len(t["partitions"]) for t in group["topics"])
    heading = problems[0]["title"] if problems else f"{group['group']} has read everything to the end"
    if group.get("is_paused"):
        heading = f"{group['group']} is paused"
    elif not problems and lag:
        heading = f"{group['group']} is keeping up"
    if group.get("parked"):
        heading += f", {say_counted(group['parked'], 'record')} parked"
    return {
        "name": group["group"],
        "owner": group["owner"],
        "heading": heading,
        "facts": [
            f"run by {group['owner']}",
            f"{say_counted(lag, 'record') if lag else 'nothing'} unread on {say_counted(partitions, 'partition')}"
            + _say_trend(group.get("trend"), lag),
            _say_members(group.get("members", len(members)), is_idle=not problems and "members" not in group),
        ],
        "notes": [{"key": p["key"], "title": p["lead"], "text": p["text"]} for p in problems],
    }


def _say_members(members: int, *, is_idle: bool) -> str:
    """A worker holds partitions only while it reads: of holders alone, without unread records none is needed."""
    if members:
        return f"{say_counted(members, 'member')} now"
    return "no member at this moment" if is_idle else "no members: nothing reads"


def _say_trend(trend: dict[str, Any] | None, lag: int) -> str:
    """Part of the fact before it, because a page that is open has places for as many facts as it began with."""
    return f", {trend['says']}" if trend and lag else ""


def draw_group_row(group: dict[str, Any], paused: dict[str, int | None] | None = None) -> Picture:
    """One line of the list of groups. `paused`: of those with a pause, how many partitions; None for all."""
    seconds = group["lag_seconds"]
    state, say = "ok", "keeping up"
    count = (paused or {}).get(group["group"], 0)
    if count is None:
        state, say = "pause", "paused"
    elif group["failing"]:
        state, say = "warn", f"standing still on {say_counted(group['failing'], 'partition')}"
    elif seconds is not None and seconds > LATE_SECONDS:
        state, say = "warn", f"{say_round_age(seconds)} behind"
    elif not group["members"] and (seconds or 0.0) > FRESH_SECONDS:
        state, say = "idle", "nobody reads"
    elif not group["lag"]:
        say = "caught up"
    if count:
        state, say = "pause" if state == "ok" else state, f"{say}, paused on {say_counted(count, 'partition')}"
    if group.get("parked"):
        state, say = "warn" if state == "ok" else state, f"{say}, {say_counted(group['parked'], 'record')} parked"
    return {
        **group,
        "behind": say_count(group["lag"]),
        "age": "" if seconds is None else say_age(seconds),
        "state": state,
        "say": say,
    }


def draw_topic_row(topic: Topic) -> Picture:
    """One line of the list of topics."""
    positions = [(g, p) for p in topic["partitions"] for g in p["groups"]]
    worst = max(positions, key=lambda pair: (pair[0]["lag_seconds"] or 0.0, pair[0]["lag"]), default=None)
    row = {
        "name": topic["name"],
        "owner": topic["owner"],
        "description": topic["description"],
        "partitions": say_count(topic["partition_count"]),
        "records": say_count(topic["records"]),
        "size": say_size(topic["size_bytes"]),
        "keeps": say_retention(topic["configs"]).removeprefix("keeps "),
        "groups": topic["groups"],
        "lag": _draw_lag(*worst) if worst else None,
    }
    if worst:
        row["worst"] = worst[0]["group"]
    return row


def find_problems(topics: list[Topic], *, payload_free: bool = False) -> list[dict[str, Any]]:
    """One problem per group and topic, standing still first, then by age."""
    found = []
    for topic in topics:
        for group in topic["groups"]:
            here = [
                (p, g)
                for p in topic["partitions"]
                for g in p["groups"]
                if g["group"] == group and not g.get("is_paused")  # somebody wanted it so
            ]
            problem = _find_problem(topic["name"], group, here, payload_free)
            if problem:
                found.append(problem)
    return sorted(found, key=lambda p: p["rank"])


def _find_problem(topic: str, group: str, here: list[Any], payload_free: bool) -> dict[str, Any] | None:
    seconds = max((g["lag_seconds"] or 0.0 for _, g in here), default=0.0)
    stuck = [(p, g) for p, g in here if g["failing"]]
    if not stuck and seconds <= LATE_SECONDS:
        return None
    worst, position = max(stuck or here, key=lambda pair: pair[1]["lag_seconds"] or 0.0)
    if seconds >= 60:
        title = f"{group} is {say_round_age(seconds)} behind on {topic}"
        if all(g["committed"] is None for _, g in here):
            title = f"{group} has not started on {topic}"
    else:
        title = f"{group} stands still on partition {worst['number']} of {topic}"
    lead, rest = _say_stuck(worst, position, payload_free) if stuck else _say_behind(here, worst)
    return {
        "key": f"group:{group}:{topic}",
        "kind": "warn",
        "rank": (0 if stuck else 3, -seconds),
        "title": title,
        "lead": lead,
        "text": rest + _say_others(here, worst, stuck),
        "group": group,
        "topic": topic,
        "action": f"Look at partition {worst['number']}",
    }


def _say_stuck(partition: Any, position: Any, payload_free: bool) -> tuple[str, str]:
    failing = position["failing"]
    error = "" if payload_free else f" ({_cut(failing['error'], 120)})"
    waiting = max(0, partition["log_end"] - failing["offset"] - 1)
    return (
        f"Partition {partition['number']} stands still at offset {failing['offset']:,}.",
        f"That record has failed {say_counted(failing['attempts'], 'time')}{error}, "
        f"{_say_next_try(failing['retry_in'])}. "
        f"{say_counted(waiting, 'record waits', 'records wait')} behind it.",
    )


def _say_next_try(seconds: float | None) -> str:
    return (
        "and is not tried again until somebody asks for it" if seconds is None else f"next try in {say_wait(seconds)}"
    )


def _say_behind(here: list[Any], worst: Any) -> tuple[str, str]:
    behind = [g for _, g in here if g["lag"]]
    unread = say_counted(sum(g["lag"] for g in behind), "record is", "records are")
    lead = f"{unread} unread on {len(behind)} of {say_counted(len(here), 'partition')}."
    rest = f"The oldest is in partition {worst['number']}."
    idle = sum(1 for g in behind if not g["owner"])
    if idle:
        rest += f" Nobody reads {'any' if idle == len(behind) else f'{idle:,}'} of them now."
    return lead, rest


def _say_others(here: list[Any], worst: Any, stuck: list[Any]) -> str:
    if not stuck or len(here) < 2:
        return ""
    if len(stuck) > 1:
        return f" {say_counted(len(stuck) - 1, 'more partition stands', 'more partitions stand')} still too."
    seconds = max((g["lag_seconds"] or 0.0 for p, g in here if p is not worst), default=0.0)
    if seconds <= FRESH_SECONDS:
        return " The other partitions are keeping up."
    return f" The other partitions are at most {say_round_age(seconds)} behind."


def _choose_groups(topic: Topic) -> dict[str, int]:
    """The groups drawn, with their mark. Late ones first when not all fit; the order on the page is fixed."""
    marks = {name: n for n, name in enumerate(topic["groups"], start=1)}
    if len(marks) <= MOST_NAMED_GROUPS:
        return marks
    late = dict.fromkeys(marks, 0.0)
    for partition in topic["partitions"]:
        for g in partition["groups"]:
            seconds = g["lag_seconds"] or 0.0
            late[g["group"]] = max(late[g["group"]], seconds if g["failing"] or seconds > LATE_SECONDS else 0.0)
    chosen = sorted(marks, key=lambda name: (-late[name], marks[name]))[:MOST_NAMED_GROUPS]
    return {name: n for name, n in marks.items() if name in chosen}


def _draw_partition(partition: Any, shown: dict[str, int], *, window: int, longest: int, payload_free: bool) -> Picture:
    start, end = partition["log_start"], partition["log_end"]
    low = max(start, end - window) if window else start
    width = 100.0 if window else max(0.4, (end - start) / (longest or 1) * 100)

    def place(offset: int | None) -> float:
        return min(width, max(0.0, ((offset or 0) - low) / ((end - low) or 1) * width))

    read = [place(g["committed"]) for g in partition["groups"]]
    by_group = {g["group"]: g for g in partition["groups"]}
    marks = [
        _draw_mark(partition, by_group[name], n=n, line=line, low=low, x=place(by_group[name]["committed"]))
        for line, (name, n) in enumerate(shown.items())
        if name in by_group
    ]
    empty = start == end
    return {
        "number": partition["number"],
        "start": say_count(start),
        "end": say_count(end),
        "empty": empty,
        "empty_text": _say_empty(end) if empty else "",
        "torn": low > start,
        "bed": _percent(width),
        "all": _percent(min(read, default=0.0)),
        "some": _percent(max(read, default=0.0)),
        "marks": marks,
        "worst": max(marks, key=lambda m: (m["state"] == "warn", m["late"], m["lag"]), default=None),
    }


def _say_empty(end: int) -> str:
    return "empty: retention removed every record" if end else "empty: nothing was published yet"


def _draw_mark(partition: Any, position: Any, *, n: int, line: int, low: int, x: float) -> Picture:
    """One group on one strip: its marker, and the line of words beside it."""
    committed, start = position["committed"], partition["log_start"]
    name = _cut(position["group"], MOST_LABEL_LETTERS)
    label = name
    if committed is None:
        label = f"{name}, not started"
    elif committed < start:
        label = f"{name}, lost {start - committed:,} to retention"
    elif committed < low:
        label = f"{name}, {low - committed:,} further back"
    return {
        **_draw_lag(position, partition),
        "group": position["group"],
        "n": min(n, SHAPES + 1),
        "mark": "hp" if position.get("is_paused") else f"h{min(n, SHAPES + 1)}",
        "head": 32 + 17 * line,
        "x": _percent(x),
        "flip": x > 45,
        "hollow": committed is None or committed < start,
        "label": label,
        "by": _say_holder(position),
        "late": position["lag_seconds"] or 0.0,
    }


def _say_holder(position: Any) -> str:
    """Who reads, and from where: for the page of one group."""
    holder = "paused" if position.get("is_paused") else say_holder(position["owner"])
    where = "not started" if position["committed"] is None else f"next {position['committed']:,}"
    idle = "nobody reads it now" if position["lag"] else "nothing to read"
    return f"{where} · {holder or idle}"


def _draw_lag(position: Any, partition: Any) -> Picture:
    """Records behind, age of the oldest unread, and a state with its word."""
    lag, seconds, committed = position["lag"], position["lag_seconds"], position["committed"]
    state, say = "late", "behind"
    if position.get("is_paused"):
        state, say = "pause", "paused"
    elif position["failing"]:
        state, say = "warn", "standing still"
    elif committed is not None and committed < partition["log_start"]:
        state, say = "warn", f"lost {partition['log_start'] - committed:,} to retention"
    elif seconds is not None and seconds > LATE_SECONDS:
        state, say = "warn", f"behind the limit of {say_wait(LATE_SECONDS)}"
    elif committed is None:
        state, say = "idle", "not started"
    elif not lag or (seconds or 0.0) <= FRESH_SECONDS:
        state, say = "ok", "keeping up"
    elif not position["owner"]:
        state, say = "idle", "nobody reads it"
    behind = "not started" if committed is None else f"{lag:,} behind" if lag else "caught up"
    return {
        "lag": lag,
        "behind": behind,
        "age": say_age(seconds) if lag and seconds is not None else "",
        "state": state,
        "say": say,
    }


def _distance(partition: Any, position: Any) -> int:
    committed = position["committed"]
    return int(partition["log_end"] - max(partition["log_start"], committed or 0))


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
