"""What pages draw of periodic commands. Pure: no query, no request. Where something leads, the template says."""

from typing import Any

from django.utils import timezone

from mqsite.words import say_counted, say_distance, say_duration, say_moment, say_round_age, say_time
from queues.periodic import CATCH_UP
from queues.services.periodic import MOST_CAUGHT_UP

LATE_SECONDS = 60.0  # workers look every few seconds: what is due for longer was refused, or nobody looks

Picture = dict[str, Any]


def draw_row(schedule: dict[str, Any]) -> Picture:
    """One schedule: when it is due, what it sent last, what becomes of ticks that are missed, and how it does."""
    state, say, why = _find_state(schedule)
    processes, last, next_ = len(schedule["declared_by"]), schedule["last_tick"], schedule["next_tick"]
    said = say_counted(processes, "process", "processes")
    return {
        **{field: schedule[field] for field in ("name", "queue", "crontab", "timezone", "message_id")},
        "declared": f"declared by {said}" if processes else "no worker process alive declares it",
        "missed": say_missed(schedule),
        "last": f"{say_time(last)}," if last else "none yet",
        "last_ago": say_distance(last) if last else "",
        "late": _say_late(schedule) if last else "",
        "next": f"{say_time(next_)}," if next_ else say_next(schedule),
        "next_in": say_distance(next_) if next_ else "",
        "state": state,
        "say": say,
        "why": why,
        "is_paused": schedule["paused"] is not None,
    }


def say_missed(schedule: dict[str, Any]) -> str:
    """What becomes of ticks that came while no worker ran."""
    if schedule["missed"] == CATCH_UP:
        return f"each is sent, at most the newest {MOST_CAUGHT_UP}"
    grace = schedule["grace_seconds"]
    return f"the newest is sent, if at most {say_duration(round(grace * 1000))} late" if grace else "none is sent"


def say_next(schedule: dict[str, Any]) -> str:
    if schedule["paused"]:
        return "when it resumes"
    return say_moment(schedule["next_tick"]) if schedule["next_tick"] else "with a worker's next look"


def _say_pause(pause: dict[str, Any]) -> str:
    said = f"by {pause['by']} at {say_time(pause['at'])}"
    return f"{said}: {pause['reason']}" if pause["reason"] else said


def _say_late(schedule: dict[str, Any]) -> str:
    """When the last tick's message was sent, where that was not about its time."""
    tick, sent_at = schedule["last_tick"], schedule["sent_at"]
    return f"sent {say_time(sent_at)}" if (sent_at - tick).total_seconds() > LATE_SECONDS else ""


def _find_state(schedule: dict[str, Any]) -> tuple[str, str, str]:
    """State, its word, and why."""
    if schedule["paused"]:
        return "idle", "paused", _say_pause(schedule["paused"])
    if not schedule["declared_by"]:
        return "warn", "nobody sends it", ""
    due = schedule["next_tick"]
    late = (timezone.now() - due).total_seconds() if due else 0.0
    if late > LATE_SECONDS:
        return "warn", f"{say_round_age(late)} overdue", "its send is refused, or no worker looks"
    return "ok", "runs", ""
