"""A worker process says that it is alive, and its timers outlive whatever their jobs do."""

import random
from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import Settings

from mqsite import workers
from mqsite.models import WorkerProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def jobs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Timers that run often, with a renewal and a sweep that note their calls and then fail."""
    settings.MQSITE_HEARTBEAT_SECONDS = settings.MQSITE_SWEEP_SECONDS = 0.01
    called: list[str] = []

    def fail(name: str) -> None:
        called.append(name)
        raise KeyError(name)

    monkeypatch.setattr(workers, "_renewals", [lambda: fail("renew")])
    monkeypatch.setattr(workers, "_sweeps", [lambda: fail("sweep")])
    workers.start_timers()
    yield called
    workers.stop_timers()
    workers._stopped.clear()


def test_timers_go_on_after_a_failure_and_leave_when_stopped(jobs: list[str]) -> None:
    wait_until(lambda: jobs.count("renew") > 2 and jobs.count("sweep") > 2)
    assert workers.count_alive()["alive"] == 1
    workers.stop_timers()
    assert WorkerProcess.objects.count() == 0


def test_the_first_pause_is_of_any_length_so_that_forked_processes_fall_out_of_step(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MQSITE_HEARTBEAT_SECONDS = settings.MQSITE_SWEEP_SECONDS = 3600.0
    swept: list[str] = []
    monkeypatch.setattr(workers, "_sweeps", [lambda: swept.append("sweep")])
    monkeypatch.setattr(random, "random", lambda: 0.0)
    workers.start_timers()
    try:
        wait_until(lambda: len(swept) == 2)
    finally:
        workers.stop_timers()
        workers._stopped.clear()
    assert len(swept) == 2, "the second pause is a whole one"


def test_a_silent_process_counts_as_dead_and_is_forgotten_later() -> None:
    workers.beat()
    assert workers.count_alive()["alive"] == 1
    _age(60)
    assert workers.count_alive() == {"alive": 0, "slowest_heartbeat_seconds": None}
    assert workers.forget_dead(600) == 0
    _age(601)
    assert workers.forget_dead(600) == 1


def test_the_longest_names_do_not_silence_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = f"logs:{'g' * 249}:{'t' * 249}"
    monkeypatch.setattr(workers, "_handles", [lambda: [longest]])
    workers.beat()
    assert workers.list_handling(longest) == [workers.name()]


def _age(seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mqsite_workerprocess SET seen_at = now() - make_interval(secs => %s)", [seconds])
