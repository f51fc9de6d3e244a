"""What 50 groups and 50 queues cost while nothing is published or sent.

The processes of the Procfile, PostgreSQL and Valkey; each stack with a database of its own, one running at a time.
"""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.house import PROJECT, NotHere, connect, migrate, wait_until_said
from benchmarks.options import Options
from benchmarks.ratio import Goal, Row, measure
from mqsite import hints
from mqsite.stack import processes
from mqsite.stack.ports import find_free

READY = {"web": "startup complete", "worker": "[queues]", "beat": "is starting"}  # what the log of each says
PROC = Path("/proc")
TIMES = slice(11, 15)  # of what follows the name in /proc/PID/stat: its own in user and system, its ended children's


def measure_idle(options: Options) -> Iterator[Row]:
    """Time on the CPU of all processes together with them / of the same stack with none declared."""
    if not (PROC / "self" / "stat").exists():
        raise NotHere("times of processes are read from /proc")
    sides = {
        name: partial(_watch, _make_stack(name, apps), options.idle_seconds)
        for name, apps in (("idle", "benchmarks.idle"), ("none", ","))
    }
    found = measure(options.rounds, sides, warm_up=False)
    more = [idle - none for idle, none in zip(found["idle"], found["none"], strict=True)]
    case = "idle: 50 groups and 50 queues, all processes - none declared"
    yield Row(case, found["idle"], found["none"], more, Goal(1, is_upper=True), "% of a core")


def _make_stack(name: str, apps: str) -> dict[str, str]:
    """Its environment, on a database that is made for it."""
    with connect() as connection:
        connection.execute(f"CREATE DATABASE stack_{name}")
    env = {
        **os.environ,
        "DATABASE_URL": f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/stack_{name}",
        "MQSITE_APPS": apps,
        "MQSITE_PREFIX": f"stack-{name}",
        "MQSITE_LOG_LEVEL": "INFO",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(find_free()),
    }
    migrate(env)
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return env


def _watch(env: Mapping[str, str], seconds: float) -> float:
    """Hundredths of a core, from so many seconds after its start on."""
    with _run_procfile(env) as pids:
        roots = [*pids, *_find_servers()]
        time.sleep(seconds)
        before, started = _sum_times(roots), time.monotonic()
        time.sleep(seconds)
        return 100 * (_sum_times(roots) - before) / (time.monotonic() - started)


@contextlib.contextmanager
def _run_procfile(env: Mapping[str, str]) -> Iterator[list[int]]:
    """The pids of its processes, once all are there."""
    folder = processes.make_temporary_folder("mqsite-stack-")
    programs = list[processes.Program]()
    try:
        for line in (PROJECT / "Procfile").read_text().splitlines():
            name, _, command = line.partition(": ")
            shell = ("/bin/sh", "-c", f"exec {command.replace('/tmp/', f'{folder}/')}")
            programs.append(
                processes.Program(name, shell, log=folder / f"{name}.log", env=env, cwd=PROJECT, stop_seconds=30)
            )
            programs[-1].start()
        for program in programs:
            wait_until_said(program, READY[program.name])
        yield [program.pid for program in programs]
    finally:
        for program in programs:
            program.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _find_servers() -> list[int]:
    """The pids of PostgreSQL and Valkey."""
    with connect() as connection:
        backend = connection.info.backend_pid
        postgres = int(_read_stat(PROC / str(backend))[1])
    return [postgres, int(hints.client().info("server")["process_id"])]


def _sum_times(roots: Sequence[int]) -> float:
    """Seconds on the CPU of these processes and all below them, those that have ended included."""
    stats = dict[int, list[str]]()
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            stats[int(folder.name)] = _read_stat(folder)
    found, below = set[int](), set(roots)
    while below:
        found |= below
        below = {pid for pid, stat in stats.items() if int(stat[1]) in below} - found
    ticks = sum(int(each) for pid in found if pid in stats for each in stats[pid][TIMES])
    return ticks / os.sysconf("SC_CLK_TCK")


def _read_stat(folder: Path) -> list[str]:
    """From the state on: the name before it may have any characters."""
    return (folder / "stat").read_text().rpartition(")")[2].split()
