"""The clock sends: one message for each tick of a declared schedule, whoever looks first.

The claim of a tick and its message are one transaction under the lock of the schedule's row, so whoever dies in
between has sent nothing and claimed nothing. All times are the database's.

Processes of two deploys may declare a schedule differently: what the row says stays as long as a live process
declares that, so that a worker of the older deploy and one of the newer never alter it to and fro.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from mqsite import activity, workers
from mqsite.audit import record_action
from mqsite.errors import MessagingError
from queues.errors import PeriodicNotFound
from queues.models import PeriodicCommand
from queues.periodic import CATCH_UP, SKIP, Periodic, handled_name, periodics
from queues.services.sending import NewMessage, check_message, send_many

logger = logging.getLogger(__name__)

SCHEDULE_HEADER, TICK_HEADER = "mq-schedule", "mq-tick"
MOST_CAUGHT_UP = 100  # ticks that one look sends; older ones are given up
UNDECLARED_SECONDS = 86_400.0  # a schedule that no live process declares is forgotten after so long
MOST_SCHEDULES = 10_000  # that are looked at for that

_refused: dict[str, str] = {}  # schedule to why its last tick could not be sent: each reason is logged once
_left_alone: set[tuple[str, str]] = set()


def send_ticks(*, using: str = "default") -> int:
    """Send what the declared schedules have come to since the last look of any process; how many messages.

    A refused send (the queue is full, or gone) is tried again at the next look.
    """
    declared = {periodic.name: periodic for periodic in periodics}
    if not declared:
        return 0
    rows = {row.name: row for row in _rows(using).filter(name__in=declared)}
    missing = [_new_row(periodic) for name, periodic in declared.items() if name not in rows]
    PeriodicCommand.objects.using(using).bulk_create(missing, ignore_conflicts=True)
    sent = 0
    for name, periodic in declared.items():
        if name not in rows or _wants_visit(rows[name], periodic):
            sent += _visit_quietly(periodic, using)
    return sent


def retire_periodic(*, using: str = "default") -> int:
    """Forget the schedules that no live process has declared for UNDECLARED_SECONDS; how many. Paused ones stay."""
    rows = list(_rows(using)[:MOST_SCHEDULES])
    alive = workers.find_alive(using=using) if rows else []
    if not alive:
        return 0  # nobody is there to tell
    declared = {name.rpartition("@")[0] for _, handles in alive for name in handles}
    gone = [row.name for row in rows if f"periodic:{row.name}" not in declared]
    found = PeriodicCommand.objects.using(using).filter(name__in=gone)
    found.filter(undeclared_since=None).update(undeclared_since=Now())
    long_ago = Now() - timedelta(seconds=UNDECLARED_SECONDS)
    return found.filter(undeclared_since__lt=long_ago, paused_at=None).delete()[0]


def pause_periodic(name: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    """Send nothing for the ticks that come until it resumes, also not later."""
    _pause(name, "pause periodic", actor, reason, using, paused_at=Now(), paused_by=actor, paused_reason=reason)


def resume_periodic(name: str, *, actor: str, reason: str = "", using: str = "default") -> None:
    """Go on with the first tick after this moment."""
    _pause(name, "resume periodic", actor, reason, using, paused_at=None, paused_by="", paused_reason="")


def find_fault(periodic: Periodic) -> str | None:
    """Why the queue, as it is declared, would refuse its messages."""
    try:
        check_message(periodic.queue, _message(periodic, "2000-01-01T00:00:00+00:00"))
    except MessagingError as refusal:
        return f"Periodic {periodic} cannot be sent to {periodic.queue}: {refusal}"
    return None


def _rows(using: str) -> Any:
    return PeriodicCommand.objects.using(using).annotate(now=Now())


def _new_row(periodic: Periodic) -> PeriodicCommand:
    return PeriodicCommand(name=periodic.name, **_columns(periodic))


def _columns(periodic: Periodic) -> dict[str, Any]:
    return {
        "queue": periodic.queue.name,
        "crontab": periodic.crontab,
        "timezone": periodic.timezone,
        "missed": periodic.missed,
        "grace_seconds": float(periodic.grace_seconds),
        "revision": periodic.revision,
    }


def _wants_visit(row: Any, periodic: Periodic) -> bool:
    if row.revision != periodic.revision or row.undeclared_since is not None:
        return True
    return row.paused_at is None and (row.next_tick is None or row.next_tick <= row.now)


def _visit_quietly(periodic: Periodic, using: str) -> int:
    try:
        sent = _visit(periodic, using)
    except MessagingError as refusal:
        if _refused.get(periodic.name) != str(refusal):
            _refused[periodic.name] = str(refusal)
            activity.note_failure(f"periodic {periodic}: {refusal}", owner=periodic.queue.owner)
            logger.warning("%s is due and cannot be sent, tried again at every look: %s", periodic, refusal)
        return 0
    if sent:
        _refused.pop(periodic.name, None)
    return sent


def _visit(periodic: Periodic, using: str) -> int:
    with transaction.atomic(using=using):
        row = _rows(using).select_for_update(skip_locked=True).filter(name=periodic.name).first()
        if row is None:
            return 0  # another process is at it
        if row.revision != periodic.revision:
            if handled_name(row.name, row.revision) in _find_declared(using):
                _leave_alone(row, periodic)
                return 0
            _adopt(row, periodic)
        row.undeclared_since = None
        sent = _send_due(row, periodic, using) if row.paused_at is None else 0
        row.save(using=using)
    return sent


def _adopt(row: Any, periodic: Periodic) -> None:
    """What has come under the old crontab is kept; otherwise the new one begins now."""
    if row.next_tick is not None and row.next_tick > row.now:
        row.next_tick = None
    for column, value in _columns(periodic).items():
        setattr(row, column, value)
    logger.info("Periodic %s goes by %r, %s from now on.", periodic, periodic.crontab, periodic.timezone)


def _send_due(row: Any, periodic: Periodic, using: str) -> int:
    ticks: list[datetime] = []
    if row.next_tick is not None and row.next_tick <= row.now:
        ticks = _choose_ticks(periodic, row.next_tick, row.now)
    if row.next_tick is None or row.next_tick <= row.now:
        # A clock that was set back, or another server's, comes to the same ticks again.
        row.next_tick = periodic.find_next(max(row.now, row.last_tick or row.now))
    if ticks:
        messages = [_message(periodic, tick.isoformat()) for tick in ticks]
        sent = send_many(periodic.queue, messages, sender=periodic.sender or periodic.queue.owner, using=using)
        row.last_tick, row.sent_at, row.message_id = ticks[-1], row.now, sent[-1].id
    return len(ticks)


def _choose_ticks(periodic: Periodic, due: datetime, now: datetime) -> list[datetime]:
    """Of the ticks from `due` on: all that the schedule wants still, the oldest first."""
    most = MOST_CAUGHT_UP if periodic.missed == CATCH_UP else 1
    # `due` may be of a crontab that has changed since.
    ticks = sorted({due, *periodic.find_newest(due, now, most=most)})[-most:]
    if periodic.missed == SKIP and (now - ticks[-1]).total_seconds() > periodic.grace_seconds:
        ticks = []
    if not ticks or ticks[0] > due:
        since, until = due.isoformat(), f"before {ticks[0].isoformat()}" if ticks else f"to {now.isoformat()}"
        logger.warning("Periodic %s (%s) sends nothing for ticks from %s %s.", periodic, periodic.missed, since, until)
    return ticks


def _message(periodic: Periodic, tick: str) -> NewMessage:
    return NewMessage(
        periodic.payload,
        group_key=periodic.group_key,
        headers=[*periodic.headers, (SCHEDULE_HEADER, periodic.name), (TICK_HEADER, tick)],
        priority=periodic.priority,
        ttl_seconds=periodic.ttl_seconds,
    )


def _find_declared(using: str) -> set[str]:
    return {name for _, handles in workers.find_alive(using=using) for name in handles}


def _leave_alone(row: Any, periodic: Periodic) -> None:
    if (row.name, row.revision) not in _left_alone:
        _left_alone.add((row.name, row.revision))
        logger.info(
            "Periodic %s is declared differently by live processes, which send it by %r, %s; they are left at it.",
            *(periodic, row.crontab, row.timezone),
        )


def _pause(name: str, action: str, actor: str, reason: str, using: str, **columns: Any) -> None:
    with transaction.atomic(using=using):
        if not PeriodicCommand.objects.using(using).filter(name=name).update(next_tick=None, **columns):
            raise PeriodicNotFound(name=name)
        record_action(actor=actor, action=action, subject=name, reason=reason, using=using)
