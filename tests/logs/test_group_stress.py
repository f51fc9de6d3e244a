"""Members killed, put to sleep and woken at random, resets, pauses, a dying PostgreSQL: nothing is lost or doubled."""

import os
import signal
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from mqsite.stack import processes
from mqsite.stack.servers import TemporaryServers
from tests.group_stress import (
    AT_LEAST,
    DRAINED_FILE,
    EXACT,
    HANDLED,
    MORE_PARTITIONS,
    PARTITIONS,
    SESSION_SECONDS,
)
from tests.house import House
from tests.log_stress import STOP_FILE, Journal
from tests.stress import Stress, stressed
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PUBLISHERS = 2
MEMBERS = 3  # of each group
STATIC = {f"{EXACT}-0", f"{AT_LEAST}-0"}
RUN_SECONDS = 25.0
SLEEP_SECONDS = SESSION_SECONDS + 1.0  # of a member that is stopped and continued
# A session until the dead are missed, another one if the heir dies as well, and what changing hands takes.
ORPHAN_SECONDS = 2 * SESSION_SECONDS + 2.0
DRAIN_SECONDS = 60.0
CUTS = 0.3  # of looks
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY state = 'idle', random() LIMIT 1
"""

CREATE = """
import django
django.setup()
from logs import services
from tests.group_stress import AT_LEAST, EXACT, PARTITIONS, TOPIC
services.create_topic(TOPIC, owner="shop", partitions=PARTITIONS)
for group in (EXACT, AT_LEAST):
    services.create_group(group, owner="billing", topics=[TOPIC])
"""
HOLDERS = """
    SELECT c.name, p.number, g.owner, g.paused_at IS NOT NULL OR c.paused_at IS NOT NULL, g.epoch
    FROM logs_group_partition g
    JOIN logs_consumergroup c ON c.id = g.group_id
    JOIN logs_partition p ON p.id = g.partition_id
    WHERE c.name IN ('exact', 'at-least')
"""
STANDS = """
    SELECT c.name, p.number, p.log_start, t.next_offset, n.committed, m.epoch, m.target
    FROM logs_group_partition g
    JOIN logs_consumergroup c ON c.id = g.group_id
    JOIN logs_partition p ON p.id = g.partition_id
    CROSS JOIN LATERAL logs_tail(p) t
    LEFT JOIN LATERAL (
        SELECT committed FROM logs_commit WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1) n ON true
    LEFT JOIN LATERAL (
        SELECT epoch, target FROM logs_reset_move WHERE group_partition_id = g.id ORDER BY id DESC LIMIT 1) m ON true
    WHERE c.name IN ('exact', 'at-least')
"""


class Stand(NamedTuple):
    group: str
    partition: int
    log_start: int
    log_end: int
    committed: int | None
    reset_epoch: int | None  # of the last reset
    target: int | None


class GroupStress(Stress):
    """Runs it all, kills some of it, and looks who holds what."""

    module = "tests.group_stress"

    def __init__(self, servers: TemporaryServers, house: House, folder: Path, seed: int) -> None:
        super().__init__(servers, house, folder, seed)
        self.asleep: dict[str, float] = {}  # member to when it wakes
        self.replaced: list[processes.Program] = []  # static members that another process goes on as
        self.wrecks = Counter[str]()
        self.orphans: dict[tuple[str, int], tuple[float, str | None]] = {}
        self.longest = 0.0

    def run(self) -> None:
        self.create(CREATE, HANDLED)
        members = [f"{group}-{n}" for group in (EXACT, AT_LEAST) for n in range(MEMBERS)]
        for name in members:
            self.start("member", name)
        for n in range(PUBLISHERS):
            self.start("publisher", f"publisher-{n}")
        wait_until(self.is_all_held, seconds=30, message="the members to begin")
        self.start("operator", "operator")
        self.wreck()
        self.drain()

    def wreck(self) -> None:
        started = time.monotonic()
        next_at, server_dies_at = started, started + RUN_SECONDS / 2
        while (now := time.monotonic()) < started + RUN_SECONDS:
            self.wake(now)
            if now > server_dies_at:
                server_dies_at = float("inf")
                self.restart_postgres()
                self.wrecks["server"] += 1
                self.orphans.clear()
            if now > next_at:
                next_at = now + self.chance.uniform(0.4, 1.6)
                self.harm(now)
            self.cut_a_connection()
            self.look(time.monotonic())
            time.sleep(0.1)  # between two looks
        self.wake(float("inf"))

    def harm(self, now: float) -> None:
        """Never the last of a group that is awake: it is to take over."""
        group = self.chance.choice([EXACT, AT_LEAST])
        awake = [f"{group}-{n}" for n in range(MEMBERS) if f"{group}-{n}" not in self.asleep]
        if len(awake) == 1:
            return
        name, wreck = self.chance.choice(awake), self.chance.choice(["killed", "asked to stop", "put to sleep"])
        if name in STATIC and self.wrecks["replaced"] < self.wrecks.total() // 4:
            wreck = "replaced"
        self.wrecks[wreck] += 1
        if wreck == "put to sleep":
            self.asleep[name] = now + SLEEP_SECONDS
            os.kill(self.programs[name].pid, signal.SIGSTOP)
            return
        if wreck == "replaced":
            self.replaced.append(self.programs[name])
        elif wreck == "killed":
            self.programs[name].kill()
        else:
            self.programs[name].stop()
            self.assert_ended(name, allowed={0, -signal.SIGTERM})  # the latter before it had quite begun
        self.start("member", name)

    def cut_a_connection(self) -> None:
        """Of whoever happens to be at something."""
        if self.chance.random() < CUTS:
            with self.house.connect() as connection:
                connection.execute(CUT)

    def wake(self, now: float) -> None:
        for name, at in list(self.asleep.items()):
            if at < now:
                os.kill(self.programs[name].pid, signal.SIGCONT)
                del self.asleep[name]

    def look(self, now: float) -> None:
        """How long has each partition been without anybody who is alive and gets on with it?"""
        with self.house.connect() as connection:
            holders = connection.execute(HOLDERS).fetchall()
        awake = {n: p for n, p in self.programs.items() if n not in self.asleep and p.process is not None}
        alive = {f":{p.pid}:" for p in awake.values()}
        for group, number, owner, is_paused, _ in holders:
            place = (group, number)
            is_held = bool(owner) and (owner in awake or any(pid in owner for pid in alive))
            if is_held or is_paused:
                self.orphans.pop(place, None)
                continue
            since, _ = self.orphans.setdefault(place, (now, owner))
            self.longest = max(self.longest, now - since)
            assert now - since < ORPHAN_SECONDS, f"{place} is with {owner} for {now - since:.1f} s"

    def is_all_held(self) -> bool:
        with self.house.connect() as connection:
            holders = connection.execute(HOLDERS).fetchall()
        return len(holders) == 2 * PARTITIONS and all(owner for _, _, owner, *_ in holders)

    def drain(self) -> None:
        """Everybody but the members stops; they read on to the end."""
        (self.folder / STOP_FILE).touch()
        for name in self.programs:
            if not name.startswith((EXACT, AT_LEAST)):
                self.assert_ended(name)
        wait_until(self.is_read, seconds=DRAIN_SECONDS, message="the groups to read all there is")
        (self.folder / DRAINED_FILE).touch()
        for name in self.programs:
            self.assert_ended(name)
        for program in self.replaced:
            wait_until(lambda program=program: program.ended() is not None, message="who was replaced to notice")  # type: ignore[misc]
            assert program.ended() == 0, "\n".join(program.last_lines())

    def is_read(self) -> bool:
        with self.house.connect() as connection:
            return all(stand.committed == stand.log_end for stand in read_stands(connection))

    def close(self) -> None:
        super().close()
        for program in self.replaced:
            program.kill()


def test_groups_lose_and_double_nothing_whoever_dies(
    private_stack: TemporaryServers, tmp_path: Path, seed: int
) -> None:
    with stressed(GroupStress, private_stack, tmp_path, seed) as stress:
        stress.run()
        with stress.house.connect() as connection:
            stands = read_stands(connection)
            handled = connection.execute('SELECT partition, "offset" FROM stress_handled ORDER BY 1, 2').fetchall()
        lines = [line for path in tmp_path.glob("*.journal") for line in Journal.read(path)]
        records = sum(stand.log_end for stand in stands) // 2
        print(f"{records} records, {dict(stress.wrecks)}, an orphan for {stress.longest:.1f} s at the most")
        assert [line for line in lines if line["does"] == "fail"] == []
        assert "deadlock detected" not in private_stack.postgres.log.read_text(errors="replace")
        assert_enough_happened(stress, lines, stands)
        assert_handled_exactly_once(handled, stands)
        assert_read_at_least_once(tmp_path, stands)


def read_stands(connection: psycopg.Connection[Any]) -> list[Stand]:
    return [Stand(*row) for row in connection.execute(STANDS)]


def assert_enough_happened(stress: GroupStress, lines: list[dict[str, Any]], stands: list[Stand]) -> None:
    """A proof of nothing would pass as well."""
    assert stress.wrecks.keys() == {"killed", "asked to stop", "put to sleep", "replaced", "server"}
    assert {line["does"] for line in lines} >= {"read", "is refused", "reset", "pause", "reset_paused"}
    assert any("Fenced" in line.get("error", "") for line in lines)
    assert {stand.partition for stand in stands} <= set(range(MORE_PARTITIONS))
    assert sum(stand.log_end for stand in stands) > 1_000


def assert_handled_exactly_once(handled: list[tuple[int, int]], stands: list[Stand]) -> None:
    """The table refuses what comes twice; what a reset passed over is in it as well. So there is no hole."""
    offsets: dict[int, list[int]] = defaultdict(list)
    for partition, offset in handled:
        offsets[partition].append(offset)
    for stand in stands:
        if stand.group == EXACT:
            assert offsets[stand.partition] == list(range(stand.log_end)), stand


def assert_read_at_least_once(folder: Path, stands: list[Stand]) -> None:
    """Within an epoch in order, without a hole, by one member; since the last reset nothing was passed over."""
    read: dict[tuple[int, int], list[int]] = defaultdict(list)
    readers: dict[tuple[int, int], set[int]] = defaultdict(set)
    for path in folder.glob(f"{AT_LEAST}-*.journal"):
        for line in Journal.read(path):
            if line["does"] == "read":
                read[line["partition"], line["epoch"]] += line["offsets"]
                readers[line["partition"], line["epoch"]].add(line["pid"])
    for place, offsets in read.items():
        assert len(readers[place]) == 1, place
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets))), place
    for stand in stands:
        if stand.group == AT_LEAST:
            since = stand.reset_epoch or 0
            found = {
                o for (n, epoch), offsets in read.items() if n == stand.partition and epoch > since for o in offsets
            }
            assert found >= set(range(stand.target or 0, stand.log_end)), stand
