"""How a handler is called, in words. Pure; used by both halves so that they say it alike."""

from mqsite.handling import AT_LEAST_ONCE, AT_MOST_ONCE, SHARED_CALLS, TRANSACTION, Options
from mqsite.retry import Retry
from mqsite.words import say_count, say_counted, say_duration

DELIVERIES = {
    TRANSACTION: "transaction: what it writes to this database and the {end} are one transaction",
    AT_LEAST_ONCE: "at least once: the {end} follows the handler, so a crash may repeat a call",
    AT_MOST_ONCE: "at most once: the {end} comes before the handler, so a crash may lose a call",
}


def say_options(options: Options, *, noun: str, end: str) -> list[tuple[str, str]]:
    """Delivery, calls and limits, each as a label and a sentence. `noun`: record or message; `end`: commit or ack."""
    return [
        ("Delivery", DELIVERIES[options.delivery].format(end=end)),
        ("Calls", _say_calls(options, noun)),
        ("Limits", _say_limits(options, noun)),
    ]


def say_retry(retry: Retry, *, forever: str) -> str:
    """`up to 5 calls; waits 1 second, then 2 times as long each time, at most 5 minutes; 20% left to chance`.

    `forever`: what holds where it has no attempts of its own.
    """
    calls = forever if retry.attempts is None else f"up to {say_counted(retry.attempts, 'call')}"
    if retry.attempts == 1:
        return "one call, no second one"
    if not retry.max_seconds:
        waits = "at once"
    else:
        waits = f"waits {_say_seconds(retry.initial_seconds)}"
        if retry.factor > 1:
            waits += f", then {retry.factor:g} times as long each time, at most {_say_seconds(retry.max_seconds)}"
        if retry.jitter:
            waits += f"; {retry.jitter:.0%} left to chance"
    never = ", ".join(error.__name__ for error in retry.permanent)
    return f"{calls}; {waits}" + (f"; no second call after {never}" if never else "")


def _say_calls(options: Options, noun: str) -> str:
    if options.batch:
        return f"up to {say_counted(options.batch, noun)} at once"
    if options.delivery == TRANSACTION:
        return f"one {noun} at a time; up to {SHARED_CALLS} calls share a transaction"
    return f"one {noun} at a time"


def _say_limits(options: Options, noun: str) -> str:
    limits = [
        f"{say_count(options.concurrency)} at the same time over all workers" if options.concurrency else "",
        f"{options.rate:,g} {noun}s a second over all workers" if options.rate else "",
        f"{_say_seconds(options.seconds)} for a call" if options.seconds else "",
    ]
    return ", ".join(filter(None, limits)) or "none"


def _say_seconds(seconds: float) -> str:
    return say_duration(round(seconds * 1000))
