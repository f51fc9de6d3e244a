"""As root, PostgreSQL runs as nobody, wherever the project is and whatever root's umask."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mqsite.stack import placement
from mqsite.stack.postgres import UNSAFE_SETTINGS, Postgres

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to be somebody else")


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands in for /var/lib/mqsite."""
    folder = Path(tempfile.mkdtemp(prefix="mqsite-outside-"))
    monkeypatch.setattr(placement, "OUTSIDE", folder)
    umask = os.umask(0o077)
    yield folder
    os.umask(umask)
    shutil.rmtree(folder)


@pytest.mark.slow  # copies a whole PostgreSQL, twice
def test_a_project_that_nobody_can_reach_is_served_from_outside(
    outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "site-packages"  # pytest's folder is root's own, as /root is
    package = placement.find_programs().parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, hidden / part.name, symlinks=True)
    monkeypatch.setattr(placement, "find_programs", lambda: hidden / package.name / "pginstall" / "bin")

    placed = placement.place(tmp_path, "identity")
    assert placed.folder.parent == outside
    assert outside in placed.programs.parents
    server = Postgres(placed, password="secret", log=tmp_path / "log", settings=UNSAFE_SETTINGS)
    server.start()
    try:
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.abort()
    assert placement.all_outside(tmp_path) == [placed.folder]
