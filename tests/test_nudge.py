"""Who wakes claims once; a worker that stands by is given the errand, else one is called to look at the list."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from pytest_django import Settings

from logs import tasks
from mqsite import hints, nudge, workers
from tests.concurrency import in_thread
from tests.nudging import count_calls, forget_all, key, listed
from tests.waiting import wait_until

WAIT_SECONDS = 10.0
RAN: list[tuple[str | int, ...]] = []  # what the errand below was run for


@nudge.errand
def note(*target: str | int) -> bool:
    RAN.append(target)
    return bool(MORE) and MORE.pop()


MORE: list[bool] = []  # what it answers next


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    assert hints.flush(WAIT_SECONDS)
    forget_all()
    yield
    assert hints.flush(WAIT_SECONDS)
    forget_all()
    RAN.clear()
    MORE.clear()


def wake(*target: str | int) -> None:
    nudge.wake(note, *target)
    assert hints.flush(WAIT_SECONDS)


def wait_for_standby(count: int = 1) -> None:
    wait_until(lambda: hints.client().zcard(key("standby")) == count)


@pytest.fixture
def standing_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Future[None]]:
    """A worker that has nothing to do for now."""
    monkeypatch.setattr(nudge, "STANDBY_SECONDS", 0.3)
    worker = in_thread(nudge.run_errands)
    wait_for_standby()
    yield worker
    worker.result(WAIT_SECONDS)


# The list


def test_of_many_that_wake_one_is_listed_and_calls_a_worker() -> None:
    for _ in range(3):
        wake("orders")
    assert listed() == [("orders",)]
    assert count_calls() == 1


def test_each_target_is_listed_once_in_the_order_of_the_wake_ups() -> None:
    for name in ("orders", "returns", "orders"):
        wake(name)
    hints.client().delete(nudge.Nudge(nudge._name(note), ["orders"]).key())  # its claim expired
    wake("orders")
    assert listed() == [("orders",), ("returns",)]


def test_another_process_that_claimed_first_lists_it() -> None:
    claim = nudge.Nudge(nudge._name(note), ("orders",)).key()
    hints.client().set(claim, 1, ex=nudge.NUDGE_SECONDS)
    wake("orders")
    assert listed() == []
    assert 0 < hints.client().ttl(claim) <= nudge.NUDGE_SECONDS


def test_no_more_workers_are_called_than_the_list_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "MOST_CALLS", 2)
    for name in ("orders", "returns", "payments"):
        wake(name)
    assert len(listed()) == 3
    assert count_calls() == 2


def test_a_list_that_nobody_looks_at_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "MOST_ERRANDS", 2)
    for name in ("orders", "returns", "payments"):
        wake(name)
    assert listed() == [("orders",), ("returns",)]


def test_where_no_celery_worker_runs_nothing_is_left_behind(settings: Settings) -> None:
    settings.MQSITE_CELERY = False
    wake("orders")
    assert (listed(), count_calls()) == ([], 0)
    settings.MQSITE_CELERY = True
    wake("orders")
    assert (listed(), count_calls()) == ([("orders",)], 1)


# A worker


def test_a_called_worker_sees_to_the_whole_list_and_ends() -> None:
    wake("orders", 3)
    wake("returns", 0)
    nudge.consume()
    assert RAN == [("orders", 3), ("returns", 0)]
    assert listed() == []
    assert hints.client().zcard(key("standby")) == 0


def test_a_task_that_begins_makes_room_for_another_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "MOST_CALLS", 1)
    wake("orders")
    nudge.consume()
    wake("returns")
    assert count_calls() == 2


def test_calls_that_were_not_counted_make_no_room_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "MOST_CALLS", 1)
    for _ in range(3):
        nudge.consume()  # called by a worker out of time
    for name in ("orders", "returns"):
        wake(name)
    assert count_calls() == 1


def test_calls_that_were_lost_with_the_broker_hold_up_the_next_ones_for_seconds_only() -> None:
    wake("orders")
    assert 0 < hints.client().ttl(key("calls")) <= nudge.NUDGE_SECONDS


def test_the_claim_is_free_before_the_errand_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed while it runs, it may have looked past."""
    claim = nudge.Nudge(nudge._name(note), ("orders",)).key()
    claimed: list[int] = []
    monkeypatch.setitem(nudge._runs, nudge._name(note), lambda _: claimed.append(hints.client().exists(claim)))
    wake("orders")
    nudge.run_errands()
    assert claimed == [0]


def test_an_errand_that_has_more_to_do_is_given_again() -> None:
    MORE.append(True)
    wake("orders")
    nudge.run_errands()
    assert RAN == [("orders",), ("orders",)]


def test_after_its_time_a_worker_gives_way_and_calls_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "TASK_SECONDS", -1.0)
    wake("orders")
    wake("returns")
    before = count_calls()
    nudge.run_errands()
    assert RAN == [("orders",)]
    assert listed() == [("returns",)]
    assert count_calls() == before + 1


def test_a_worker_on_its_way_down_takes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "stopping", lambda: bool(RAN))
    wake("orders")
    wake("returns")
    nudge.run_errands()
    assert listed() == [("returns",)]


def test_an_errand_of_another_version_is_left_alone_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    wake("orders")
    hints.client().lpush(key("errands"), json.dumps([key("nudge", "x"), "shop.tasks.unheard_of", ["x"]]))
    nudge.run_errands()
    assert RAN == [("orders",)]
    assert [record.message[:39] for record in caplog.records] == ["Nothing here sees to shop.tasks.unheard"]


def test_a_failing_errand_leaves_the_others_to_the_workers_called_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> bool:
        raise RuntimeError("database away")

    wake("orders")
    wake("returns")
    with monkeypatch.context() as patch:
        patch.setitem(nudge._runs, nudge._name(note), fail)
        with pytest.raises(RuntimeError):
            nudge.consume()
    nudge.consume()
    assert RAN == [("returns",)]


# Standing by


def test_who_stands_by_is_given_the_errand_and_nobody_is_called(standing_by: Future[None]) -> None:
    wake("orders")
    wait_until(lambda: RAN == [("orders",)])
    wait_for_standby()
    wake("orders")
    wait_until(lambda: len(RAN) == 2)
    assert count_calls() == 0
    standing_by.result(WAIT_SECONDS)
    assert hints.client().zcard(key("standby")) == 0


def test_of_two_that_stand_by_each_is_given_one(standing_by: Future[None], monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=WAIT_SECONDS)  # passed only by two at a time
    monkeypatch.setitem(nudge._runs, nudge._name(note), lambda _: both.wait() < 0)
    other = in_thread(nudge.run_errands)
    wait_for_standby(2)
    wake("orders")
    wake("returns")
    wait_until(lambda: hints.client().zcard(key("standby")) == 2 or other.done())
    assert (listed(), count_calls()) == ([], 0)
    other.result(WAIT_SECONDS)


def test_who_stood_by_and_died_is_passed_over() -> None:
    hints.client().zadd(key("standby"), {"dead": time.time() - 1, "longer dead": time.time() - 2})
    wake("orders")
    assert (listed(), count_calls()) == ([("orders",)], 1)
    assert hints.client().zcard(key("standby")) == 0


def test_what_is_given_in_the_last_moment_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker has stopped waiting and not said so yet."""

    class Waited:
        def blpop(self, *_: object) -> None:
            wake("orders")

    monkeypatch.setattr(nudge, "_patient_client", Waited)
    monkeypatch.setattr(workers, "stopping", lambda: bool(RAN))
    nudge.run_errands()
    assert RAN == [("orders",)]


def test_a_consumer_of_the_log_is_woken_by_its_partition() -> None:
    nudge.wake(tasks.consume, "billing", "orders", 3)
    assert hints.flush(WAIT_SECONDS)
    assert listed() == [("billing", "orders", 3)]
