"""Processes killed and put to sleep at random, stale leases, a dying PostgreSQL: nothing is lost or done twice."""

import os
import signal
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from mqsite.stack.servers import TemporaryServers
from tests.house import House
from tests.log_stress import STOP_FILE, Journal
from tests.queue_stress import DONE, DRAINED_FILE, ORDERED
from tests.stress import Stress, stressed
from tests.waiting import wait_until

RUN_SECONDS = float(os.environ.get("MQSITE_STRESS_SECONDS", "14"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180 + 2 * RUN_SECONDS)]

ROLES = {"sender": 2, "worker": 2, "holder": 2, "operator": 1}
SLEEP_SECONDS = 3.2  # longer than a lease, and than a worker may be silent
DRAIN_SECONDS = 60.0 + RUN_SECONDS / 2
UNFLUSHED_SECONDS = 1.0  # a crash may take back the acks of that time

CREATE = """
import django
django.setup()
from queues import services
from tests.queue_stress import LETTERS, ORDERED, OWNER, PLAIN
services.create_queue(LETTERS, owner=OWNER)
for name, options in ((PLAIN, {"dead_letter_queue": LETTERS}), (ORDERED, {"is_ordered": True})):
    services.create_queue(name, owner=OWNER, max_receives=2, backoff_seconds=0.05, outcome_seconds=9_000, **options)
"""
# The counts the pages show, beside what stands, in one snapshot.
COUNTS = """
    SELECT q.name, ARRAY[d.ready, d.leased, d.scheduled, d.waiting, d.dead], ARRAY(
        SELECT count(m.id) FROM generate_series(0, 4) s LEFT JOIN queues_message m ON m.queue_id = q.id AND m.state = s
        GROUP BY s ORDER BY s)
    FROM queues_queue q JOIN queues_depth(ARRAY(SELECT id FROM queues_queue), 100000) d ON d.queue_id = q.id
"""
STUCK = """
    SELECT DISTINCT w.group_key FROM queues_message w WHERE w.state = 3 AND NOT EXISTS (
        SELECT FROM queues_message h
        WHERE h.queue_id = w.queue_id AND h.group_key = w.group_key AND h.ordered AND h.state IN (0, 1, 2))
"""
LEFT = """
    SELECT (SELECT count(*) FROM queues_message), (SELECT count(*) FROM queues_lease),
           (SELECT count(*) FROM queues_intent), (SELECT count(*) FROM queues_redrive WHERE state = 0)
"""


class QueueStress(Stress):
    """Runs it all, and kills some of it."""

    module = "tests.queue_stress"

    def __init__(self, servers: TemporaryServers, house: House, folder: Path, seed: int) -> None:
        super().__init__(servers, house, folder, seed)
        self.asleep: dict[str, float] = {}  # until when
        self.wrecks = Counter[str]()
        self.crashes: list[float] = []

    def run(self) -> None:
        self.create(CREATE, DONE)
        for role, count in ROLES.items():
            for n in range(count):
                self.start(role, f"{role}-{n}")
        wait_until(self.has_begun, seconds=30, message="the workers to begin")
        self.wreck()
        self.drain()

    def has_begun(self) -> bool:
        with self.house.connect() as connection:
            return bool(connection.execute("SELECT count(*) > 20 FROM stress_done").fetchone()[0])  # type: ignore[index]

    def wreck(self) -> None:
        started = time.monotonic()
        next_at, crash_at = started, started + RUN_SECONDS / 2
        while (now := time.monotonic()) < started + RUN_SECONDS:
            self.tend(now)
            if now > crash_at:
                crash_at = float("inf")
                self.crashes.append(time.time())
                self.restart_postgres()
                self.wrecks["server"] += 1
            if now > next_at:
                next_at = now + self.chance.uniform(0.4, 1.2)
                self.harm(now)
            self.look()
            time.sleep(0.1)  # between two looks
        self.tend(float("inf"))

    def harm(self, now: float) -> None:
        name = self.chance.choice([name for name in self.programs if name not in self.asleep])
        if self.chance.random() < 0.4:
            self.asleep[name] = now + SLEEP_SECONDS
            os.kill(self.programs[name].pid, signal.SIGSTOP)
            self.wrecks["put to sleep"] += 1
        else:
            self.programs[name].kill()
            self.start(name.split("-")[0], name)
            self.wrecks["killed"] += 1

    def tend(self, now: float) -> None:
        """Wakes who has slept, and starts again who died in a handler."""
        for name, at in list(self.asleep.items()):
            if at < now:
                os.kill(self.programs[name].pid, signal.SIGCONT)
                del self.asleep[name]
        for name, program in self.programs.items():
            if name.startswith("worker") and program.ended() == -signal.SIGKILL:
                self.start(name.split("-")[0], name)
                self.wrecks["killed by a handler"] += 1

    def look(self) -> None:
        with self.house.connect() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            for name, told, standing in connection.execute(COUNTS).fetchall():
                assert told == standing, name
            assert connection.execute(STUCK).fetchall() == []

    def drain(self) -> None:
        """The senders stop; the others go on to the end."""
        (self.folder / STOP_FILE).touch()
        for name in self.programs:
            if name.startswith("sender"):
                self.assert_ended(name)
        wait_until(self.is_empty, seconds=DRAIN_SECONDS, message="all that was sent to come to its end")
        (self.folder / DRAINED_FILE).touch()
        for name in self.programs:
            self.assert_ended(name)

    def is_empty(self) -> bool:
        self.tend(time.monotonic())
        with self.house.connect() as connection:
            return connection.execute(LEFT).fetchone() == (0, 0, 0, 0)


def test_the_queue_loses_and_doubles_nothing_whoever_dies(
    private_stack: TemporaryServers, tmp_path: Path, seed: int
) -> None:
    with stressed(QueueStress, private_stack, tmp_path, seed) as stress:
        stress.run()
        with stress.house.connect() as connection:
            outcomes = connection.execute("SELECT message_id, outcome FROM queues_outcome").fetchall()
            done = connection.execute("SELECT message, payload FROM stress_done ORDER BY n").fetchall()
        lines = [line for path in tmp_path.glob("*.journal") for line in Journal.read(path)]
        print(f"{len(done)} done, {Counter(o for _, o in outcomes)}, {stress.wrecks}")
        assert [line for line in lines if line["does"] == "fail"] == []
        log = private_stack.postgres.log.read_text(errors="replace")
        assert "deadlock detected" not in log
        assert "queues_head" not in log, "a key had two heads"
        assert_enough_happened(stress, lines, Counter(outcome for _, outcome in outcomes))
        assert_each_ended_once(lines, outcomes)
        assert_none_was_done_twice(lines, [payload for _, payload in done], stress.crashes)
        assert_keys_kept_their_order(done, {id_ for id_, outcome in outcomes if outcome == "died"})


def assert_enough_happened(stress: QueueStress, lines: list[dict[str, Any]], outcomes: Counter[str]) -> None:
    """A proof of nothing would pass as well."""
    assert stress.wrecks.keys() >= {"killed", "put to sleep", "server"}
    assert {line["does"] for line in lines} >= {
        "send",
        "undo",
        "ack",
        "lose",
        "start_redrive",
        "cancel",
        "purge",
        "pause",
    }
    assert outcomes.keys() >= {"acked", "cancelled"}  # on a busy machine too few are handled for one to die
    assert outcomes["acked"] > 100


def assert_each_ended_once(lines: list[dict[str, Any]], outcomes: list[tuple[int, str]]) -> None:
    ends = Counter(id_ for id_, outcome in outcomes if outcome != "died")
    assert [id_ for id_, count in ends.items() if count != 1] == []
    sent = {id_ for line in lines if line["does"] == "send" for id_ in line["ids"]}
    assert sent - ends.keys() == set(), "lost"


def assert_none_was_done_twice(lines: list[dict[str, Any]], done: list[str], crashes: list[float]) -> None:
    """The table refuses what comes twice. What was acknowledged without it may come again only after a crash."""
    undone = {payload for line in lines if line["does"] == "undo" for payload in line["payloads"]}
    acked: Counter[str] = Counter(done)
    for line in lines:
        if line["does"] == "ack" and not any(0 < at - line["at"] < UNFLUSHED_SECONDS for at in crashes):
            acked.update(line["payloads"])
    assert [payload for payload, count in acked.items() if count > 1] == []
    assert undone.isdisjoint(acked)


def assert_keys_kept_their_order(done: list[tuple[int, str]], died: set[int]) -> None:
    """Of each sender, where nothing died: a letter that starts over comes behind the head of the moment."""
    orders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for id_, payload in done:
        parts = payload.split("/")
        if id_ not in died and parts[0] == ORDERED:
            orders[tuple(parts[:-1])].append(int(parts[-1]))
    assert orders
    for key, numbers in orders.items():
        assert numbers == sorted(numbers), key
