"""Both servers in one temporary folder, for tests: fast, unsafe, and gone without a trace."""

import functools
import os
import secrets
import shutil

from mqsite.stack.placement import Placement, place
from mqsite.stack.postgres import UNSAFE_SETTINGS, Postgres
from mqsite.stack.processes import make_temporary_folder
from mqsite.stack.valkey import Valkey


class TemporaryServers:
    """A test may kill either one and start it again on the same port."""

    def __init__(self, *, with_postgres: bool = True, with_valkey: bool = True) -> None:
        self.with_postgres = with_postgres
        self.with_valkey = with_valkey
        self.folder = make_temporary_folder("mqsite-test-")
        if os.geteuid() == 0:
            self.folder.chmod(0o711)  # PostgreSQL then runs as nobody and passes through here

    @functools.cached_property
    def placement(self) -> Placement:
        return place(self.folder, secrets.token_hex(4))

    @functools.cached_property
    def postgres(self) -> Postgres:
        return Postgres(
            self.placement,
            password=secrets.token_urlsafe(16),
            log=self.folder / "postgres.log",
            settings=UNSAFE_SETTINGS,
        )

    @functools.cached_property
    def valkey(self) -> Valkey:
        return Valkey(self.folder / "valkey", password=secrets.token_urlsafe(16), log=self.folder / "valkey.log")

    def start(self) -> None:
        if self.with_postgres:
            self.postgres.start()
        if self.with_valkey:
            self.valkey.start()

    def close(self) -> None:
        if self.with_valkey:
            self.valkey.kill()
        if self.with_postgres:
            self.postgres.abort()
            if self.placement.folder != self.folder:
                shutil.rmtree(self.placement.folder, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
