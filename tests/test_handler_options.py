"""A handler's options: what is refused, how long it may take, and what its policy says about a failure."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from mqsite.calling import Ran, TimeLimitExceeded, run
from mqsite.errors import Conflict, Invalid, MessagingError, NotFound
from mqsite.handling import Options, read_options
from mqsite.models import AuditEntry
from mqsite.retry import Reject, Retry, RetryIn
from tests.concurrency import in_thread


def handler(item: object) -> None: ...


def options(function: Callable[..., Any] = handler, **given: Any) -> Options:
    empty: dict[str, Any] = dict.fromkeys(("retry", "concurrency", "rate", "seconds"))
    return read_options(function, **{**empty, "delivery": "transaction", "batch": False, **given})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"delivery": "exactly_once"}, "delivery is 'exactly_once'; allowed are transaction, at_least_once, at_most"),
        ({"batch": 1_001}, "batch is 1001; allowed are whole numbers up to 1,000"),
        ({"batch": -1}, "batch is -1"),
        ({"concurrency": 0}, "concurrency is 0; allowed are whole numbers up to 1,000"),
        ({"concurrency": True}, "concurrency is True"),
        ({"rate": 0}, "rate is 0; allowed are numbers above 0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"seconds": "3"}, "seconds is '3'; allowed are numbers above 0 up to 86,400"),
        ({"retry": 3}, "retry is 3; allowed is a mqsite.retry.Retry"),
        ({"retry": Retry(), "delivery": "at_most_once"}, "at_most_once never calls twice"),
        ({"function": lambda: None}, "must take one argument"),
        ({"function": lambda a, b: None}, "must take one argument"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_what_can(given: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        options(**given)


def test_a_refusal_names_the_handler() -> None:
    with pytest.raises(Invalid, match=r"handler_options\.handler: rate is -1"):
        options(rate=-1)


def test_batch_true_is_as_many_as_allowed() -> None:
    assert (options(batch=True).batch, options(batch=7).most, options(batch=False).batch) == (1_000, 7, None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"attempts": 0}, "attempts is 0; allowed is a whole number from 1 to 32,000"),
        ({"attempts": 1.5}, "attempts is 1.5"),
        ({"initial_seconds": -1}, "initial_seconds is -1"),
        ({"factor": 0.5}, "factor is 0.5"),
        ({"initial_seconds": 10, "max_seconds": 5}, "max_seconds is 5; allowed is a number from 10"),
        ({"jitter": 2}, "jitter is 2"),
        ({"permanent": ("ValueError",)}, "permanent is"),
    ],
)
def test_a_retry_policy_that_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        Retry(**given)


def test_waits_grow_by_the_factor_up_to_the_longest_and_vary_by_the_jitter() -> None:
    exact = Retry(initial_seconds=1, factor=3, max_seconds=20, jitter=0)
    assert [exact.wait_seconds(n) for n in (1, 2, 3, 4, 5_000)] == [1, 3, 9, 20, 20]
    varied = {Retry(initial_seconds=10, jitter=0.5).wait_seconds(1) for _ in range(100)}
    assert len(varied) > 10
    assert 5 <= min(varied) <= max(varied) <= 10


@pytest.mark.parametrize(
    ("error", "attempts", "hopeless", "last"),
    [
        (ValueError(), 1, False, False),
        (ValueError(), 3, False, True),
        (KeyError(), 1, True, True),
        (Reject("no"), 1, True, True),
        (NotFound(what="It"), 1, True, True),
        (Conflict(reason="later"), 1, False, False),
        (RetryIn(7), 1, False, False),
        (RetryIn(7), 3, False, True),
    ],
)
def test_what_the_policy_says_about_a_failure(error: Exception, attempts: int, hopeless: bool, last: bool) -> None:
    verdict = Retry(attempts=3, permanent=(LookupError,)).judge(error, attempts)
    assert (verdict.is_hopeless, verdict.is_last) == (hopeless, last)
    assert not isinstance(error, RetryIn) or verdict.seconds == 7


def test_retry_in_refuses_what_is_no_time() -> None:
    with pytest.raises(Invalid, match="RetryIn takes 0 to"):
        RetryIn(-1)


class Item:
    """Something to handle."""

    cause_id, headers = "1", []  # type: ignore[var-annotated]


def call(function: Callable[..., Any], seconds: float, batch: int | None = None) -> Ran:
    return run(function, Options(seconds=seconds, batch=batch), [Item()], halt=lambda: False)


def busy_for(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            sum(range(1_000))
        except Exception:
            pytest.fail("a handler's own except clauses do not see the end of its time")


def is_time_limit(error: Exception | None) -> bool:
    return isinstance(error, TimeLimitExceeded) and isinstance(error, MessagingError) and not error.permanent


@pytest.mark.parametrize("batch", [None, 5])
def test_in_the_main_thread_a_handler_is_interrupted_at_its_time_limit(batch: int | None) -> None:
    started = time.monotonic()
    ran = call(lambda _: busy_for(5), 0.05, batch)
    assert is_time_limit(ran.error)
    assert time.monotonic() - started < 2


def test_an_async_handler_is_cancelled_at_its_time_limit() -> None:
    import asyncio

    async def wait(item: Item) -> None:
        await asyncio.sleep(5)

    async def fail(item: Item) -> None:
        raise TimeoutError("its own")

    assert is_time_limit(call(wait, 0.05).error)
    assert not is_time_limit(call(fail, 5).error)


@pytest.mark.parametrize("batch", [None, 5])
def test_what_is_async_is_awaited_and_what_only_looks_done_fails(batch: int | None) -> None:
    done: list[object] = []

    async def work(item: object) -> None:
        done.append(item)

    class Worker:
        async def __call__(self, item: object) -> None:
            done.append(item)

    assert call(Worker(), 5, batch).error is None
    assert len(done) == 1
    error = call(lambda item: work(item), 5, batch).error
    assert isinstance(error, Invalid)
    assert "returned a coroutine, which nobody ran" in str(error)


def test_somebody_elses_alarm_goes_on() -> None:
    left, _ = signal.getitimer(signal.ITIMER_REAL)  # of the test runner
    before = signal.getsignal(signal.SIGALRM)
    call(lambda _: None, 1)
    after, _ = signal.getitimer(signal.ITIMER_REAL)
    assert signal.getsignal(signal.SIGALRM) is before
    assert (after > 0) == (left > 0)
    assert after <= left


def test_in_another_thread_a_handler_that_took_too_long_is_failed_when_it_returns() -> None:
    ran = in_thread(lambda: call(lambda _: threading.Event().wait(0.05), 0.01)).result(timeout=10)
    assert is_time_limit(ran.error)


@pytest.mark.django_db(transaction=True)
def test_a_statement_is_cancelled_at_the_time_limit_and_the_session_goes_on() -> None:
    def sleep(item: Item) -> None:
        AuditEntry.objects.create(actor="handler", action="x", subject="")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")

    started = time.monotonic()
    with transaction.atomic():
        ran = call(sleep, 0.1)
        transaction.set_rollback(True)
    assert is_time_limit(ran.error)
    assert time.monotonic() - started < 5
    assert AuditEntry.objects.filter(actor="handler").count() == 0
