"""How the pages say numbers, ages and times. Pure; used by both halves so that they say them alike."""

import re
from datetime import UTC, datetime

from django.utils import timezone

_WORKER = re.compile(r"^(?P<host>[^:]+):(?P<pid>\d+):[0-9a-f]{8}$")
_MOST_HOST_LETTERS = 8
_MOST_LINE_CHARACTERS = 300


def say_count(number: int) -> str:
    return f"{number:,}"


def say_counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 topic`, `2 topics`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def say_age(seconds: float) -> str:
    """For cells and cards: `0.3 s`, `58 s`, `11 min 52 s`, `3 h 20 min`, `6 d`."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400:,} d"


def say_wait(seconds: float) -> str:
    """How long until something: coarser than an age, because nobody needs the seconds of an hour."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 2 * 86400 else f"{whole // 86400:,} d"


def say_round_age(seconds: float) -> str:
    """For a sentence: `40 seconds`, `12 minutes`, `3 hours`, `6 days`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return say_counted(whole, "second")
    if whole < 3600:
        return say_counted(round(whole / 60), "minute")
    if whole < 2 * 86400:
        return say_counted(round(whole / 3600), "hour")
    return say_counted(round(whole / 86400), "day")


def say_time(moment: str | datetime) -> str:
    """Today `10:41:08`, else `Tue 16:20`, older than a week `3 Nov`; in the server's time zone."""
    local = timezone.localtime(_parse(moment))
    days = (timezone.localdate() - local.date()).days
    if days == 0:
        return f"{local:%H:%M:%S}"
    return f"{local:%a %H:%M}" if 0 < days < 7 else f"{local.day} {local:%b %H:%M}"


def say_distance(moment: datetime) -> str:
    """`58 s ago`, `in 40 s`"""
    seconds = (timezone.now() - moment).total_seconds()
    return f"{say_age(seconds)} ago" if seconds >= 0 else f"in {say_wait(-seconds)}"


def say_moment(moment: datetime) -> str:
    """With the age, so that nobody has to compute it: `10:41:08, 58 s ago`."""
    return f"{say_time(moment)}, {say_distance(moment)}"


def say_size(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    for power, unit in enumerate(("kB", "MB", "GB"), start=1):
        if size < 999.95 * 1000**power:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size / 1000**4:,.1f} TB"


def say_duration(milliseconds: int) -> str:
    """A setting, exactly: `7 days`, `36 hours`, `90 minutes`, `1,500 milliseconds`."""
    units = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))
    for noun, size in units:
        if milliseconds and milliseconds % size == 0:
            return say_counted(milliseconds // size, noun)
    return say_counted(milliseconds, "millisecond")


def say_holder(name: str | None) -> str:
    """A worker process without the part that only makes its name unique; any other member as it is."""
    found = _WORKER.match(name or "")
    if not found:
        return name or ""
    return f"{found['host'].split('.')[0][:_MOST_HOST_LETTERS]}:{found['pid']}"


def say_last_line(error: str) -> str:
    """What a traceback ends with says most."""
    return (error.strip().splitlines() or [""])[-1][:_MOST_LINE_CHARACTERS]


def _parse(moment: str | datetime) -> datetime:
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
