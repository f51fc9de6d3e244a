"""Who ends is started again, up to a point; who is not essential may end."""

import sys
from pathlib import Path

import pytest

from mqsite.stack import supervision
from mqsite.stack.errors import StackError
from mqsite.stack.processes import Program
from mqsite.stack.supervision import Supervisor


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    monkeypatch.setattr(supervision, "FIRST_DELAY_SECONDS", 0)
    monkeypatch.setattr(supervision, "POLL_SECONDS", 0.01)
    return Supervisor()


def program(name: str, code: str, folder: Path) -> Program:
    return Program(name, [sys.executable, "-S", "-c", code], log=folder / f"{name}.log", env={}, cwd=folder)


def test_a_program_that_keeps_failing_ends_the_house_with_its_last_lines(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(program("Web", "print('no such table'); raise SystemExit(3)", tmp_path))
    with pytest.raises(StackError) as raised:
        supervisor.watch()
    assert str(raised.value).startswith("Web ended with exit code 3, 6 times in a row.")
    assert "no such table" in str(raised.value)


def test_the_player_may_finish_and_the_house_goes_on(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.start(program("Flights", "", tmp_path), is_essential=False)
    supervisor.start(program("Web", "raise SystemExit(3)", tmp_path))
    with pytest.raises(StackError, match="Web"):
        supervisor.watch()
    said = capsys.readouterr().out
    assert "Flights has finished." in said
    assert "Flights ended" not in said


def test_a_player_that_keeps_failing_is_given_up_and_the_house_goes_on(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.start(program("Flights", "raise SystemExit(4)", tmp_path), is_essential=False)
    web = program("Web", "import time; time.sleep(60)", tmp_path)
    supervisor.start(web)
    while len(supervisor.watched) > 1:
        for watched in list(supervisor.watched):
            supervisor._look_after(watched)
    assert "The house goes on without it." in capsys.readouterr().out
    assert web.ended() is None
    supervisor.stop()
    assert web.ended() == -15
