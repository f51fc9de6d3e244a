"""Real processes on servers of their own, for tests that kill some of both."""

import random
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from mqsite.stack import processes
from mqsite.stack.servers import TemporaryServers
from tests.house import PROJECT, House
from tests.waiting import wait_until

END_SECONDS = 60.0


class Stress:
    """The programs by name, each a role of `module`."""

    module: str
    log_level = "CRITICAL"

    def __init__(self, servers: TemporaryServers, house: House, folder: Path, seed: int) -> None:
        self.servers, self.house, self.folder, self.seed = servers, house, folder, seed
        self.chance = random.Random(seed)
        self.programs: dict[str, processes.Program] = {}

    def create(self, code: str, *statements: str) -> None:
        """What it is all about. A crash would set sequences back to what the template had of them."""
        ended, output = processes.run([sys.executable, "-c", code], env=self.house.environment, cwd=PROJECT)
        assert ended == 0, output
        with self.house.connect() as connection:
            for statement in (*statements, "CHECKPOINT"):
                connection.execute(statement.encode())

    def start(self, role: str, name: str) -> None:
        self.programs[name] = processes.Program(
            name,
            [sys.executable, "-m", self.module, role, str(self.folder), name, str(self.seed)],
            log=self.folder / f"{name}.log",
            env={**self.house.environment, "MQSITE_LOG_LEVEL": self.log_level},
            cwd=PROJECT,
        )
        self.programs[name].start()

    def restart_postgres(self) -> None:
        self.servers.postgres.kill()
        self.servers.postgres.start()

    def assert_ended(self, name: str, allowed: Collection[int] = (0,)) -> None:
        program = self.programs[name]
        wait_until(lambda: program.ended() is not None, seconds=END_SECONDS, message=f"{name} to end")
        assert program.ended() in allowed, f"{name} ended with {program.ended()}:\n" + "\n".join(program.last_lines())

    def close(self) -> None:
        for program in self.programs.values():
            program.kill()


S = TypeVar("S", bound=Stress)


@contextmanager
def stressed(kind: type[S], servers: TemporaryServers, folder: Path, seed: int) -> Iterator[S]:
    """A house on these servers, and the stress in it. All of its processes go at the end."""
    database_url, redis_url = servers.postgres.url(), servers.valkey.url()
    with (
        closing(House(database_url=database_url, redis_url=redis_url)) as house,
        closing(kind(servers, house, folder, seed)) as stress,
    ):
        yield stress
