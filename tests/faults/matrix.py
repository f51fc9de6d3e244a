"""Runs cells of the fault matrix: real workers are stopped at their points and killed there, one kind after another."""

import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from mqsite.stack import ports
from mqsite.stack.servers import TemporaryServers
from tests.faults import standby
from tests.faults.cells import (
    AFTER,
    BEAT,
    BEFORE,
    CHILD,
    CONNECTION,
    DATABASE_CLOCK,
    HALVES,
    IN,
    NETWORK,
    OTHERS,
    OUTSIDE_FILE,
    POSTGRES,
    SHUTDOWN,
    VALKEY,
    WORKER,
    WORKER_CLOCK,
    Cell,
    Seen,
)
from tests.faults.proxy import Proxy
from tests.faults.schema import HELD, HOLDING, LOCK_SPACE, SCHEMA, SETTLED, WRONG_CLOCK_SCHEMA
from tests.house import PROJECT, House, children_of
from tests.waiting import wait_until

WRONG_CLOCK = PROJECT / "tests" / "faults" / "wrong_clock"
ROUND_CELLS = 12
SPARE_CHILDREN = 3  # for those whom nothing happens to
REACH_SECONDS = 30.0
# 15 s of 9 until who is silent is dead, 4 until the next sweep and 2 to spare; here it is 2 s and 1 s.
TAKEOVER_SECONDS = 8.0
COMES_BACK_SECONDS = 15.0
HOUR_SECONDS = 3_600.0
# After the clock of the database jumped back the others find nothing that stays. The last two need another worker each.
ORDER = (WORKER_CLOCK, DATABASE_CLOCK, BEAT, VALKEY, CONNECTION, CHILD, POSTGRES, WORKER, NETWORK)


class Victim(NamedTuple):
    pid: int
    session: int  # pid of its PostgreSQL process
    port: int  # of its connection, as PostgreSQL knows it


class Matrix:
    def __init__(self, cells: Sequence[Cell], which: str, folder: Path) -> None:
        self.cells, self.folder = cells, folder
        self.numbers = {cell: number for number, cell in enumerate(cells)}
        self.took: dict[str, float] = {}  # seconds of each round, from the fault until all was settled
        self.took_at_standby: dict[str, float] = {}
        self.servers = TemporaryServers()
        self.servers.start()
        self.house = House(
            database_url=self.servers.postgres.url(),
            redis_url=self.servers.valkey.url(),
            environment={
                "MQSITE_APPS": "tests.faults",
                "MQSITE_CUT_SECONDS": "2",
                "FAULTS_CELLS": which,
                "FAULTS_FOLDER": str(folder),
                "FAULTS_CLOCK": str(folder / "clock"),
            },
        )
        self.set_worker_clock(0.0)
        self.worker = ""
        self.workers = 0
        self.proxies: dict[str, Proxy] = {}
        self.connection = self.house.connect()
        self.connection.execute(SCHEMA)
        self.connection.execute(WRONG_CLOCK_SCHEMA)
        self.connection.execute(f"ALTER DATABASE {self.house.name} SET search_path = wrong_clock, public, pg_catalog")
        self.sender = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sender"],
            env=self.house.environment,
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self) -> dict[Cell, Seen]:
        rounds = list(self.rounds())
        self.children = max(len(cells) for _, cells in rounds) + SPARE_CHILDREN
        self.start_worker()
        for number, (kind, cells) in enumerate(rounds):
            self.run_round(f"{kind}-{number}", kind, cells)
        self.took_at_standby = standby.disturb(self)
        self.shut_down()
        return self.count()

    def rounds(self) -> Iterator[tuple[str, list[Cell]]]:
        for kind in ORDER:
            cells = [cell for cell in self.cells if cell.dies == kind]
            for start in range(0, len(cells), ROUND_CELLS):
                yield kind, cells[start : start + ROUND_CELLS]

    def close(self) -> None:
        self.sender.kill()
        self.sender.communicate()
        self.connection.close()
        self.house.close()
        for proxy in self.proxies.values():
            proxy.close()
        self.servers.close()

    # One round

    def run_round(self, name: str, kind: str, cells: Sequence[Cell]) -> None:
        victims = self.bring_to_their_points(cells)
        victim = self.worker
        if kind in (WORKER, NETWORK):
            self.start_worker()  # who takes over; so far the victim did all
        getattr(self, f"kill_{kind}")(victim, victims)
        started = time.monotonic()
        for half in HALVES:
            self.send(half, OTHERS, f"{OTHERS}-{name}")
        self.send_to([cell for cell in cells if cell.when == BEFORE])
        for cell in cells:
            self.touch(f"{cell}.go")
        if kind in (CHILD, WORKER, CONNECTION, NETWORK):
            self.wait_gone(victims, started)
        for cell in cells:
            self.release(cell)
            if kind in (BEAT, VALKEY, WORKER_CLOCK, DATABASE_CLOCK) and cell.when == AFTER:
                self.proxies[victim].pass_answers(victims[cell].port)
        expected = [*((str(cell), cell.half) for cell in cells), *((OTHERS, half) for half in HALVES)]
        self.wait_settled(expected, started + TAKEOVER_SECONDS - time.monotonic(), f"{name}: others take over")
        self.took[name] = time.monotonic() - started
        assert self.house.programs[self.worker].ended() is None, f"{name} was the end of {self.worker}"
        self.mend(kind, victim)

    def bring_to_their_points(self, cells: Sequence[Cell]) -> dict[Cell, Victim]:
        working = [cell for cell in cells if cell.when != BEFORE]
        for cell in working:
            if cell.when == IN:
                self.touch(f"{cell}.stop")
            else:
                self.hold(cell)
        self.send_to(working)
        victims = {cell: self.wait_for_victim(cell) for cell in working}
        ended = [cell for cell in working if cell.when == AFTER]
        for cell in ended:
            self.proxies[self.worker].hold_answers(victims[cell].port)
            self.release(cell)
        self.wait_settled([(str(cell), cell.half) for cell in ended], REACH_SECONDS, "to be committed")
        return victims

    def wait_for_victim(self, cell: Cell) -> Victim:
        found = wait_until(lambda: self.find_victim(cell), REACH_SECONDS, f"{cell} reaches its point")
        assert found
        return found

    def find_victim(self, cell: Cell) -> Victim | None:
        if cell.when == IN:
            stopped = next(self.folder.glob(f"{cell}.stopped.*"), None)
            if stopped is None:
                return None
            pid, session = map(int, stopped.name.split(".")[-2:])
            row = self.ask("SELECT client_port FROM pg_stat_activity WHERE pid = %s", session)[0]
            return Victim(pid, session, row[0])
        rows = self.ask(HELD, self.numbers[cell])
        if not rows:
            return None
        session, name, port = rows[0]
        return Victim(int(name.split(":")[1]), session, port)

    def wait_settled(self, expected: Sequence[tuple[str, str]], seconds: float, message: str) -> None:
        """Until all that was sent to these topics and queues is committed or acknowledged."""
        try:
            wait_until(lambda: set(expected) <= set(self.ask(SETTLED)), seconds)
        except AssertionError as late:
            left = set(expected) - set(self.ask(SETTLED))
            raise AssertionError(f"{late}: {message}; left are {left}") from None

    def wait_gone(self, victims: dict[Cell, Victim], started: float) -> None:
        """What a dead worker has locked is free, though nobody told its PostgreSQL processes."""
        sessions = [victim.session for victim in victims.values()]

        def is_gone() -> bool:
            return not self.ask("SELECT FROM pg_stat_activity WHERE pid = ANY (%s)", sessions)

        wait_until(is_gone, started + TAKEOVER_SECONDS - time.monotonic(), "the sessions of the dead end")

    # What dies

    def kill_beat(self, victim: str, victims: dict[Cell, Victim]) -> None:
        self.house.start_beat()
        log = self.house.folder / "beat.log"  # beside it beat keeps its schedule
        wait_until(lambda: {*self.house.folder.glob("beat*")} - {log}, REACH_SECONDS, "beat runs")
        self.house.programs["beat"].kill()

    def kill_valkey(self, victim: str, victims: dict[Cell, Victim]) -> None:
        self.servers.valkey.kill()

    def kill_child(self, victim: str, victims: dict[Cell, Victim]) -> None:
        """Those at work, and one that has nothing to do."""
        busy = {victim.pid for victim in victims.values()}
        idle = [pid for pid in children_of(self.house.programs[victim].pid) if pid not in busy]
        for pid in [*busy, idle[0]]:
            os.kill(pid, signal.SIGKILL)

    def kill_worker(self, victim: str, victims: dict[Cell, Victim]) -> None:
        self.house.kill_worker(victim)

    def kill_connection(self, victim: str, victims: dict[Cell, Victim]) -> None:
        """Those of the cells, and all that rest."""
        self.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY (%s)"
            " OR (state = 'idle' AND application_name LIKE '%%:%%:%%')",
            [[victim.session for victim in victims.values()]],
        )
        self._lose_answers(victim, victims)

    def kill_postgres(self, victim: str, victims: dict[Cell, Victim]) -> None:
        self.servers.postgres.kill()
        self._lose_answers(victim, victims)
        self.servers.postgres.start()
        self.connection.close()
        self.connection = self.house.connect()

    def kill_network(self, victim: str, victims: dict[Cell, Victim]) -> None:
        self.proxies[victim].cut()

    def kill_worker_clock(self, victim: str, victims: dict[Cell, Victim]) -> None:
        self.set_worker_clock(HOUR_SECONDS)
        ((jumped_at,),) = self.ask("SELECT clock_timestamp()")
        beaten = "SELECT count(*) FROM mqsite_workerprocess WHERE seen_at > %s"
        wait_until(lambda: self.ask(beaten, jumped_at)[0][0] >= self.children, REACH_SECONDS, "all beat")
        self.set_worker_clock(-HOUR_SECONDS)

    def kill_database_clock(self, victim: str, victims: dict[Cell, Victim]) -> None:
        self.set_database_clock(HOUR_SECONDS)

    def _lose_answers(self, victim: str, victims: dict[Cell, Victim]) -> None:
        for cell, found in victims.items():
            if cell.when == AFTER:
                self.proxies[victim].drop(found.port)

    # The workers

    def start_worker(self) -> None:
        """The next one, behind a network of its own."""
        self.workers += 1
        self.worker = f"worker{self.workers}"
        assert self.servers.postgres.port is not None
        proxy = self.proxies[self.worker] = Proxy(self.servers.postgres.port)
        url = urlsplit(self.house.environment["DATABASE_URL"])
        account = url.netloc.rpartition("@")[0]
        url = url._replace(netloc=f"{account}@{ports.LOOPBACK}:{proxy.port}")
        path = f"{WRONG_CLOCK}:{PROJECT}"
        self.house.start_worker(self.worker, concurrency=self.children, DATABASE_URL=urlunsplit(url), PYTHONPATH=path)

    def mend(self, kind: str, victim: str) -> None:
        if kind == VALKEY:
            self.servers.valkey.start()
        if kind == NETWORK:
            self.bring_back(victim)
        if kind == WORKER_CLOCK:
            self.set_worker_clock(0.0)
        if kind == DATABASE_CLOCK:
            self.set_database_clock(0.0)

    def bring_back(self, victim: str) -> None:
        """The worker goes on as soon as its network does."""
        alive = "SELECT name FROM mqsite_workerprocess WHERE seen_at > clock_timestamp() - interval '1 s'"
        pids = set(children_of(self.house.programs[victim].pid))
        self.proxies[victim].mend()

        def are_back() -> bool:
            return pids <= {int(name.split(":")[1]) for (name,) in self.ask(alive)}

        wait_until(are_back, COMES_BACK_SECONDS, "the worker comes back with its network")
        self.house.stop_worker(victim)  # the next round is to find one worker

    def shut_down(self) -> None:
        """Workers that are asked to stop end what they have in hand, commit it and let go of it."""
        for half in HALVES:
            self.touch(f"{SHUTDOWN}-{half}.stop")
            self.send(half, SHUTDOWN, f"{SHUTDOWN}-{half}")
        at_work = f"{SHUTDOWN}-*.stopped.*"
        wait_until(lambda: len(list(self.folder.glob(at_work))) == len(HALVES), REACH_SECONDS, "both are at work")
        running = [program for program in self.house.programs.values() if program.ended() is None]
        for program in running:
            program.ask_to_stop()
        for half in HALVES:
            self.touch(f"{SHUTDOWN}-{half}.go")
        wait_until(lambda: all(program.ended() is not None for program in running), REACH_SECONDS, "the workers end")

    # What the cells have seen

    def count(self) -> dict[Cell, Seen]:
        rows, lines = self.rows(), self.lines()
        return {cell: Seen(rows[str(cell)], lines[str(cell)]) for cell in self.cells}

    def rows(self) -> Counter[str]:
        return Counter(dict(self.ask("SELECT cell, count(*) FROM fault_row GROUP BY 1")))

    def lines(self) -> Counter[str]:
        return Counter((self.folder / OUTSIDE_FILE).read_text().split())

    def held(self) -> int:
        """Partitions and leases that somebody still has."""
        return int(self.ask(HOLDING)[0][0])

    # Below the surface

    def send_to(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            self.send(cell.half, str(cell), str(cell))

    def send(self, half: str, name: str, text: str) -> None:
        assert self.sender.stdin is not None
        assert self.sender.stdout is not None
        self.sender.stdin.write(f"{half} {name} {text}\n")
        self.sender.stdin.flush()
        assert self.sender.stdout.readline() == f"{half} {name} {text}\n", "the sender failed"

    def hold(self, cell: Cell) -> None:
        number = self.numbers[cell]
        self.connection.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_SPACE, number])
        self.connection.execute("INSERT INTO fault_hold VALUES (%s, %s)", [str(cell), number])

    def release(self, cell: Cell) -> None:
        if self.ask("DELETE FROM fault_hold WHERE cell = %s RETURNING cell", str(cell)):
            self.connection.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, self.numbers[cell]])

    def set_worker_clock(self, seconds: float) -> None:
        """How far it is ahead; in place, for the processes have mapped the file."""
        clock = self.folder / "clock"
        clock.touch()
        with clock.open("r+b") as file:
            file.write(struct.pack("d", seconds))

    def set_database_clock(self, seconds: float) -> None:
        self.connection.execute("UPDATE wrong_clock.ahead SET seconds = %s", [seconds])

    def ask(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, params).fetchall()

    def touch(self, name: str) -> None:
        (self.folder / name).touch()
