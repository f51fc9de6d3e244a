"""The outbox: the first leaves at once, the others together, never too many, whatever sending does."""

import math
import threading
from typing import Any

import pytest

from mqsite import outbox
from mqsite.outbox import Entry
from tests.waiting import wait_until

WAIT_SECONDS = 10.0
NEVER_SECONDS = 3600.0


class Outbox(outbox.Outbox[Any]):
    def __init__(self, send: Any, *, gap_seconds: float = 0.02, most_gap_seconds: float = 0.2) -> None:
        super().__init__(send, gap_seconds=gap_seconds, most_gap_seconds=most_gap_seconds)


class Sent:
    """What was sent, as (key, count) by sending. Sending waits while `open` is not set."""

    def __init__(self) -> None:
        self.sendings: list[dict[Any, int]] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()

    def __call__(self, waiting: dict[Any, Entry]) -> None:
        self.begun.set()
        assert self.open.wait(WAIT_SECONDS)
        self.sendings.append({key: entry.count for key, entry in waiting.items()})


@pytest.fixture
def sent() -> Sent:
    return Sent()


def test_the_first_leaves_at_once_and_the_next_ones_together(sent: Sent) -> None:
    box = Outbox(sent, gap_seconds=NEVER_SECONDS, most_gap_seconds=NEVER_SECONDS)
    box.put("first")
    wait_until(lambda: sent.sendings == [{"first": 1}])
    for _ in range(3):
        box.put("same", count=2)
    box.put("other")
    assert len(sent.sendings) == 1
    assert box.flush(WAIT_SECONDS)
    assert sent.sendings[1:] == [{"same": 6, "other": 1}]


def test_what_is_sent_slowly_is_sent_rarely(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "GAP_PER_SENDING", 1e9)
    box = Outbox(sent, most_gap_seconds=NEVER_SECONDS)
    box.put("first")
    wait_until(lambda: sent.sendings)
    box.put("second")
    assert not box._hurry.wait(0.1)
    assert len(sent.sendings) == 1
    assert box.flush(WAIT_SECONDS)
    assert len(sent.sendings) == 2


def test_what_is_sent_slowly_is_sent_all_the_same(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "GAP_PER_SENDING", 1e9)
    box = Outbox(sent, most_gap_seconds=0.02)
    box.put("first")
    wait_until(lambda: sent.sendings)
    box.put("second")
    wait_until(lambda: len(sent.sendings) == 2)


def test_one_slow_sending_after_a_quiet_time_does_not_hold_up_the_next(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "GAP_PER_SENDING", 1e9)
    monkeypatch.setattr(outbox, "CREDIT_SECONDS", math.inf)
    box = Outbox(sent, most_gap_seconds=NEVER_SECONDS)
    box.put("first")
    wait_until(lambda: sent.sendings)
    box.put("second")
    wait_until(lambda: len(sent.sendings) == 2)


def test_flush_waits_for_what_is_being_sent_and_says_when_it_gave_up(sent: Sent) -> None:
    box = Outbox(sent)
    assert box.flush(0)  # nothing was put
    sent.open.clear()
    box.put("slow")
    assert sent.begun.wait(WAIT_SECONDS)
    assert not box.flush(0.01)
    sent.open.set()
    assert box.flush(WAIT_SECONDS)
    assert sent.sendings == [{"slow": 1}]


def test_more_than_its_limit_is_dropped_with_one_line(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MOST_ENTRIES", 10)
    box = Outbox(sent)
    sent.open.clear()
    box.put("blocks the thread")
    assert sent.begun.wait(WAIT_SECONDS)
    for number in range(15):
        box.put(number)
    box.put(0)  # is there already
    sent.open.set()
    assert box.flush(WAIT_SECONDS)
    assert sent.sendings[1] == {0: 2, **dict.fromkeys(range(1, 10), 1)}
    assert [record.message for record in caplog.records] == ["Dropped 5 hints: more than 10 waited to be sent"]
    box.put("again")
    assert box.flush(WAIT_SECONDS)
    assert sent.sendings[2] == {"again": 1}


def test_some_details_are_kept_and_the_givers_list_is_left_alone() -> None:
    kept: list[list[Any]] = []
    box = Outbox(lambda waiting: kept.extend(entry.details for entry in waiting.values()))
    given = ["a"] * 20
    with box._changed:  # so that both wait together
        box.put("one", details=given)
        box.put("one", details=given)
    assert box.flush(WAIT_SECONDS)
    assert [len(details) for details in kept] == [outbox.MOST_DETAILS]
    assert len(given) == 20


def test_a_sending_that_fails_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[str] = []

    def send(waiting: dict[str, Entry]) -> None:
        if "bad" in waiting:
            raise KeyError("bad")
        sent.extend(waiting)

    box = Outbox(send)
    box.put("bad")
    assert box.flush(WAIT_SECONDS)
    box.put("good")
    assert box.flush(WAIT_SECONDS)
    assert sent == ["good"]
    assert [record.message for record in caplog.records] == ["Dropped 1 hints"]


def test_where_no_thread_can_start_putting_does_not_fail(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    box = Outbox(sent)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        box.put("early")
    box.put("late")
    assert box.flush(WAIT_SECONDS)
    assert sent.sendings == [{"early": 1, "late": 1}]


class Interrupted:
    """A key whose hash is asked for while the lock is held, and puts: what a signal handler may do there."""

    def __init__(self, box: Outbox) -> None:
        self.box = box

    def __hash__(self) -> int:
        self.box.put("from the handler")
        return 1


def test_a_signal_handler_may_put_while_its_thread_does(sent: Sent) -> None:
    box = Outbox(sent)
    box.put(Interrupted(box))
    assert box.flush(WAIT_SECONDS)
    assert any("from the handler" in sending for sending in sent.sendings)
