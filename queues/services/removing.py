"""Messages are taken away before anybody has received them."""

from collections.abc import Sequence

from mqsite.audit import record_action
from mqsite.errors import Invalid
from mqsite.sql import in_transaction
from queues import rows, selectors, store
from queues.declarations import Queue
from queues.models import Message
from queues.services.moves import announce_moved

MAX_CANCEL_MESSAGES = 1_000
PURGE_BATCH = 1_000
PURGED_STATES = {
    "ready": (Message.State.READY, Message.State.WAITING),
    "scheduled": (Message.State.SCHEDULED,),
    "dead": (Message.State.DEAD,),
    "all": (Message.State.READY, Message.State.WAITING, Message.State.SCHEDULED, Message.State.DEAD),
}


def cancel(
    queue: Queue | str, ids: Sequence[int], *, actor: str = "", reason: str = "", using: str = "default"
) -> list[int]:
    """Take back messages that nobody has received yet, scheduled or ready; the ids really cancelled.

    With a reason it is recorded in the audit.
    """
    wanted = list(dict.fromkeys(ids))
    if not 1 <= len(wanted) <= MAX_CANCEL_MESSAGES:
        raise Invalid(reason=f"There are {len(wanted)} ids; allowed are 1 to {MAX_CANCEL_MESSAGES:,}.")
    located = _require_own_transaction(str(queue), "cancel", using=using)
    gone = {moved.id for moved in store.cancel(located.queue_id, wanted, by=actor, using=using)}
    cancelled = [id_ for id_ in wanted if id_ in gone]
    if reason:
        facts = {"count": len(cancelled), "ids": cancelled}
        record_action(actor=actor, action="cancel", subject=str(queue), reason=reason, facts=facts, using=using)
    return cancelled


def purge(
    queue: Queue | str,
    *,
    state: str,
    most: int | None = None,
    actor: str,
    reason: str = "",
    using: str = "default",
) -> int:
    """Delete the messages in a state ("ready", "scheduled", "dead", "all"), at most `most`; how many went.

    In batches that each commit. What somebody holds at the moment stays.
    """
    if state not in PURGED_STATES:
        raise Invalid(reason=f"state is {state!r}; allowed are {', '.join(PURGED_STATES)}.")
    located = _require_own_transaction(str(queue), "purge", using=using)
    purged = 0
    while most is None or purged < most:
        batch = PURGE_BATCH if most is None else min(PURGE_BATCH, most - purged)
        gone = len(store.purge(located.queue_id, PURGED_STATES[state], by=actor, limit=batch, using=using))
        purged += gone
        if not gone:
            break
    facts = {"state": state, "count": purged}
    record_action(actor=actor, action="purge", subject=str(queue), reason=reason, facts=facts, using=using)
    return purged


def expire(*, limit: int = 1_000, using: str = "default") -> int:
    """Let die what was not received in its time, at most `limit`; how many that was."""
    moved = store.expire(limit=limit, using=using)
    announce_moved(moved, using=using)
    return len(moved)


def _require_own_transaction(queue: str, verb: str, *, using: str) -> rows.Located:
    """With ordered messages: keys are locked in one order at COMMIT, and here before it."""
    located = selectors.locate_queue(queue, using=using)
    if located.is_ordered and in_transaction(using):
        raise Invalid(reason=f"{queue} is ordered: {verb} outside of a transaction.")
    return located
