"""Questions to the queue that change nothing. Shapes are ready for JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from mqsite.errors import Invalid
from mqsite.payloads import is_storable
from mqsite.registry import list_differences
from queues import memory, rows, store
from queues.declarations import queues as declared_queues
from queues.errors import QueueNotFound, RedriveNotFound
from queues.models import Message, Queue, Redrive
from queues.settings import SETTINGS, read_settings

COUNT_LIMIT = 10_000
MOST_CARDS = 24
SHOWN_DETAIL_CHARACTERS = 2_000  # the end of an error says most
BEHIND_SECONDS = 60.0  # waits are ranked by this much, so that a page does not reorder while it is looked at

MAX_SCHEDULE_PAGE = 1_000
MAX_FOUND, MAX_SCANNED = 1_000, 100_000
MAX_SOUGHT_CHARACTERS = 10_000
FIRST = (32_767, -1)  # before every priority and position

STATES: dict[Message.State, str] = {s: s.name.lower() for s in Message.State if s != Message.State.STAGED}


def locate_queue(queue: str, *, using: str = "default") -> rows.Located:
    return memory.locate_queue(queue, using=using)


def list_scheduled(
    queue: str, *, after: rows.Scheduled | None = None, limit: int = 100, using: str = "default"
) -> list[rows.Scheduled]:
    """What waits for its time, the soonest first; the next page comes after the last of this one."""
    if not 1 <= limit <= MAX_SCHEDULE_PAGE:
        raise Invalid(reason=f"limit is {limit}; allowed are 1 to {MAX_SCHEDULE_PAGE:,}.")
    return store.schedule(locate_queue(queue, using=using).queue_id, after=after, limit=limit, using=using)


def overview(limit: int = 20, *, using: str = "default") -> list[dict[str, Any]]:
    """The queues whose messages wait longest, then the rest by name."""
    queues = {queue.id: queue for queue in _queues(using)[: limit * 5]}
    depths = sorted(_depths(list(queues), using=using), key=lambda d: _longest_wait(d, queues[d.queue_id].name))
    return _describe([queues[d.queue_id] for d in depths[:limit]], depths[:limit], using=using)


def describe_queue(name: str, *, using: str = "default") -> dict[str, Any]:
    queue = require_queue(name, using=using)
    return _describe([queue], _depths([queue.id], using=using), using=using)[0]


def count_messages(names: Sequence[str], *, using: str = "default") -> dict[str, dict[str, int]]:
    """The counts of each queue by state, none above COUNT_LIMIT."""
    found = {queue.id: queue.name for queue in _queues(using).filter(name__in=names)}
    return {found[d.queue_id]: _counts(d) for d in _depths(list(found), using=using)}


def find_outcomes(
    queue: str, *, id: int | None = None, correlation_id: str | None = None, limit: int = 100, using: str = "default"
) -> list[rows.Outcome]:
    """What became of a message, or of those with a correlation id, the latest first. The queue's `outcome_seconds`
    says for how long; the header is `correlation_id` or `ce_correlationid`."""
    if (id is None) == (correlation_id is None):
        raise Invalid(reason="Ask by the id of a message or by a correlation_id.")
    if not 1 <= limit <= MAX_SCHEDULE_PAGE:
        raise Invalid(reason=f"limit is {limit}; allowed are 1 to {MAX_SCHEDULE_PAGE:,}.")
    queue_id = locate_queue(queue, using=using).queue_id
    return store.outcomes(queue_id, message_id=id, correlation_id=correlation_id, limit=limit, using=using)


def count_letters(queue: Queue, *, using: str = "default") -> int:
    """The dead of a queue and what lies in it as a dead-letter queue, up to COUNT_LIMIT."""
    letters = Message.objects.using(using).filter(queue_id=queue.id)
    dead, ready = letters.filter(state=Message.State.DEAD), letters.filter(state=0, source_id__isnull=False)
    return min(COUNT_LIMIT, sum(found.order_by("position")[:COUNT_LIMIT].count() for found in (dead, ready)))


def describe_redrive(job: int, *, using: str = "default") -> dict[str, Any]:
    """How far a redrive is. `letters`: there were when it began, counted up to `count_limit`."""
    row = Redrive.objects.using(using).select_related("queue", "target").filter(id=job).first()
    if row is None:
        raise RedriveNotFound(job=job)
    return tell_redrive(row)


def tell_redrive(row: Redrive) -> dict[str, Any]:
    """As `describe_redrive`, of a row with its queues."""
    return {
        "id": row.id,
        "queue": row.queue.name,
        "to": row.target and row.target.name,
        "state": row.get_state_display().lower(),
        "letters": row.letters,
        "count_limit": COUNT_LIMIT,
        "scanned": row.scanned,
        "moved": row.moved,
        "rate_per_second": row.rate_per_second,
        "started_by": row.started_by,
        "started_at": row.started_at.isoformat(),
        "ended_at": row.ended_at and row.ended_at.isoformat(),
    }


def find_messages(queue: str, ids: Sequence[int], *, using: str = "default") -> list[rows.Message]:
    """Those of the ids that stand in the queue, in the order of the ids; their receives stay as they are."""
    return sorted(store.peek(queue, ids, using=using), key=lambda message: message.id)


class Sought(TypedDict, total=False):
    """What `search` looks for, and how far. The defaults are those of `search_ids`."""

    state: str
    group_key: str | None
    text: str | None
    json_path: str | None
    after: tuple[int, int] | None
    limit: int
    most_scanned: int


def search(queue: str, *, using: str = "default", **sought: Unpack[Sought]) -> rows.Found:
    """Messages in a state, in the order they stand, without receiving them; their receives stay as they are.

    `text` is looked for in payload, headers and error. `json_path`, an SQL/JSON path such as
    `$.seats[*] ? (@.row > 7)`, must find something in the payload; what is no JSON does not match. It ends after
    `limit` found or `most_scanned` looked at, and says how many that were; the next page begins at `after`.
    """
    ids, scanned, mark = search_ids(queue, using=using, **sought)
    found = {message.id: message for message in store.peek(queue, ids, using=using)}
    return rows.Found([found[id_] for id_ in ids if id_ in found], scanned, mark)


def search_ids(
    queue: str,
    *,
    state: str = "ready",
    group_key: str | None = None,
    text: str | None = None,
    json_path: str | None = None,
    after: tuple[int, int] | None = None,
    limit: int = 20,
    most_scanned: int = COUNT_LIMIT,
    using: str = "default",
) -> tuple[list[int], int, tuple[int, int] | None]:
    """As `search`, without the messages: their ids, how many were looked at, and where to go on."""
    states = {name: state for state, name in STATES.items()}
    if state not in states:
        raise Invalid(reason=f"state is {state!r}; allowed are {', '.join(states)}.")
    for name, value, most in (("limit", limit, MAX_FOUND), ("most_scanned", most_scanned, MAX_SCANNED)):
        if not 1 <= value <= most:
            raise Invalid(reason=f"{name} is {value}; allowed are 1 to {most:,}.")
    for name, said in (("text", text), ("json_path", json_path), ("group_key", group_key)):
        if said is not None and not (len(said) <= MAX_SOUGHT_CHARACTERS and is_storable(said)):
            raise Invalid(reason=f"{name} is text of at most {MAX_SOUGHT_CHARACTERS:,} characters, without NUL.")
    return store.search(
        locate_queue(queue, using=using).queue_id,
        states[state],
        group_key=group_key,
        text=text,
        json_path=json_path,
        after=after or FIRST,
        limit=limit,
        most_scanned=most_scanned,
        using=using,
    )


def require_queue(name: str, *, using: str = "default") -> Queue:
    queue: Queue | None = _queues(using).filter(name=name).first()
    if queue is None:
        raise QueueNotFound(queue=name)
    return queue


def find_waiting(queues: Sequence[str], *, limit: int, using: str = "default") -> list[str]:
    """Those of the queues that have something to receive."""
    return store.waiting(queues, limit=limit, using=using) if queues else []


def find_ids(queues: Sequence[str], *, using: str = "default") -> list[int]:
    """Of those of the queues that exist."""
    return list(_queues(using).filter(name__in=queues).values_list("id", flat=True))


def drift(*, using: str = "default") -> list[str]:
    """A sentence for each difference between what is declared in code and what the database holds."""
    found, names = [], [queue.name for queue in declared_queues]
    stored = {queue.name: queue for queue in _queues(using).filter(name__in=names)}
    for queue in declared_queues:
        row = stored.get(queue.name)
        found += list_differences(
            f"Queue {queue.name}",
            ("owner", *SETTINGS),
            (queue.owner, *queue.settings.values()),
            row and (row.owner.name, *read_settings(row).values()),
        )
    return found


def find_misfits(handled: Mapping[str, str], *, using: str = "default") -> list[tuple[str, str]]:
    """Of the queues handled, by name and owner, those of somebody else: a sentence each, and what to do."""
    stored = dict(_queues(using).filter(name__in=handled).values_list("name", "owner__name"))
    return [
        (
            f"Queue {name} is handled here for {owner}, but {stored[name]} owns it.",
            f'Declare Queue("{name}", owner="{stored[name]}") if this is its service, else take the handler out.',
        )
        for name, owner in handled.items()
        if stored.get(name, owner) != owner
    ]


def _queues(using: str) -> Any:
    return Queue.objects.using(using).select_related("owner", "dead_letter_queue")


def _depths(queue_ids: list[int], *, using: str) -> list[rows.Depth]:
    return store.depth(queue_ids, limit=COUNT_LIMIT, using=using)


def _longest_wait(depth: rows.Depth, name: str) -> tuple[float, str]:
    return -((depth.oldest_ready_seconds or 0.0) // BEHIND_SECONDS), name


def _describe(queues: list[Queue], depths: list[rows.Depth], *, using: str) -> list[dict[str, Any]]:
    by_queue = {depth.queue_id: depth for depth in depths}
    cards: dict[int, dict[str, list[dict[str, Any]]]] = {
        queue.id: {state: [] for state in STATES.values()} for queue in queues
    }
    for card in store.cards(list(cards), limit=MOST_CARDS, detail_characters=SHOWN_DETAIL_CHARACTERS, using=using):
        state = STATES[Message.State(card.state)]
        cards[card.queue_id][state].append(_DRAWN[state](card))
    return [
        {
            "name": queue.name,
            "owner": queue.owner.name,
            "description": queue.description,
            "is_ordered": queue.is_ordered,
            "lease_seconds": queue.lease_seconds,
            "max_receives": queue.max_receives,
            "paused": queue.paused_at is not None,
            "pause": _describe_pause(queue),
            "counts": _counts(by_queue[queue.id]),
            "count_limit": COUNT_LIMIT,
            "oldest_ready_seconds": _since(by_queue[queue.id].oldest_ready_seconds),
            "cards": cards[queue.id],
        }
        for queue in queues
    ]


def _counts(depth: rows.Depth) -> dict[str, int]:
    return {state: getattr(depth, state) for state in ("scheduled", "ready", "waiting", "leased", "dead")}


def _draw_scheduled(card: rows.Card) -> dict[str, Any]:
    return {**_name(card), "due_in": _since(card.seconds)}


def _draw_ready(card: rows.Card) -> dict[str, Any]:
    return {**_name(card), "age": _since(card.seconds), "receives": card.receives}


def _draw_leased(card: rows.Card) -> dict[str, Any]:
    return {**_name(card), "worker": card.holder, "lease_left": _since(card.seconds), "receives": card.receives}


def _draw_dead(card: rows.Card) -> dict[str, Any]:
    return {
        **_name(card),
        "died_at": card.died_at.isoformat() if card.died_at else None,
        "reason": card.reason or "",
        "detail": card.detail or "",
        "receives": card.receives,
    }


_DRAWN = {
    "scheduled": _draw_scheduled,
    "ready": _draw_ready,
    "waiting": _draw_ready,
    "leased": _draw_leased,
    "dead": _draw_dead,
}


def _name(card: rows.Card) -> dict[str, Any]:
    return {"id": card.id, "label": card.group_key or str(card.id)}


def _since(seconds: float | None) -> float | None:
    """Never negative: what is due this moment has 0 seconds left."""
    return None if seconds is None else max(0.0, seconds)


def _describe_pause(queue: Queue) -> dict[str, Any] | None:
    if queue.paused_at is None:
        return None
    return {"by": queue.paused_by, "at": queue.paused_at.isoformat(), "reason": queue.paused_reason}
