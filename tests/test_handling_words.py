"""How a handler is called, in words."""

import pytest

from mqsite.handling import AT_LEAST_ONCE, Options
from mqsite.handling_words import say_options, say_retry
from mqsite.retry import Retry


@pytest.mark.parametrize(
    ("retry", "said"),
    [
        (Retry(), "for ever; waits 1 second, then 2 times as long each time, at most 5 minutes; 20% left to chance"),
        (Retry(attempts=1), "one call, no second one"),
        (Retry(attempts=3, factor=1, jitter=0), "up to 3 calls; waits 1 second"),
        (Retry(initial_seconds=0, max_seconds=0), "for ever; at once"),
        (
            Retry(attempts=2, initial_seconds=0.5, factor=1.5, max_seconds=90, jitter=0),
            "up to 2 calls; waits 500 milliseconds, then 1.5 times as long each time, at most 90 seconds",
        ),
    ],
)
def test_a_retry_is_a_sentence(retry: Retry, said: str) -> None:
    assert say_retry(retry, forever="for ever") == said


def test_options_say_delivery_calls_and_limits() -> None:
    assert say_options(Options(), noun="record", end="commit")[1:] == [
        ("Calls", "one record at a time; up to 100 calls share a transaction"),
        ("Limits", "none"),
    ]
    told = dict(say_options(Options(AT_LEAST_ONCE, batch=1, rate=0.5), noun="message", end="ack"))
    assert told["Delivery"] == "at least once: the ack follows the handler, so a crash may repeat a call"
    assert (told["Calls"], told["Limits"]) == ("up to 1 message at once", "0.5 messages a second over all workers")
