"""Whatever dies, and whenever: each delivery keeps its promise, what is well goes on, and others take over in time."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults import guarantees, standby
from tests.faults.cells import FULL, HALVES, OTHERS, PAIRWISE, SHUTDOWN, Cell, Seen, choose
from tests.faults.matrix import HOUR_SECONDS, Matrix

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # of the first one, which runs them all: half a minute on two idle cores
    pytest.mark.skipif(sys.platform != "linux", reason="Only Linux lets a process cut a network without more rights."),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", choose(choice(metafunc.config)), ids=str)


def choice(config: pytest.Config) -> str:
    return FULL if config.getoption("full") else PAIRWISE


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    which = choice(request.config)
    matrix = Matrix(choose(which), which, tmp_path_factory.mktemp("faults"))
    try:
        yield matrix
    finally:
        matrix.close()


@pytest.fixture(scope="module")
def seen(matrix: Matrix, request: pytest.FixtureRequest) -> dict[Cell, Seen]:
    try:
        seen = matrix.run()
        if request.config.getoption("write_guarantees"):
            guarantees.PAGE.write_text(guarantees.render(seen))
        return seen
    finally:  # shown if it fails
        print(
            f"Seconds until others had taken over: {matrix.took | matrix.took_at_standby}",
            *map(matrix.house.logs, matrix.proxies),
            sep="\n",
        )


def test_each_keeps_its_promise(seen: dict[Cell, Seen], cell: Cell) -> None:
    assert seen[cell].keeps(cell.promise), f"{seen[cell]} instead of {cell.promise}"


@pytest.mark.usefixtures("seen")
def test_those_whom_nothing_happened_to_went_on(matrix: Matrix) -> None:
    names = [f"{OTHERS}-{name}" for name in matrix.took]
    assert {name: matrix.rows()[name] for name in names} == dict.fromkeys(names, len(HALVES))


@pytest.mark.usefixtures("seen")
def test_the_clocks_that_jumped_were_an_hour_apart(matrix: Matrix) -> None:
    apart = dict(matrix.ask("SELECT cell, min(abs(clocks_apart))::int FROM fault_row GROUP BY 1"))
    for name in matrix.took:
        assert (apart[f"{OTHERS}-{name}"] >= HOUR_SECONDS - 60) == ("clock" in name)


@pytest.mark.usefixtures("seen")
def test_an_errand_that_is_lost_with_a_worker_that_stands_by_is_made_up_for_by_a_sweep(matrix: Matrix) -> None:
    assert {name: matrix.rows()[f"standby-{name}"] for name in matrix.took_at_standby} == {
        "killed": len(HALVES),
        "stopped": len(HALVES),
        "forgotten": len(HALVES),
    }
    assert max(matrix.took_at_standby.values()) < standby.SWEEP_SECONDS + 1


@pytest.mark.usefixtures("seen")
def test_a_warm_shutdown_ends_what_is_in_hand_commits_it_and_lets_go(matrix: Matrix) -> None:
    names = [f"{SHUTDOWN}-{half}" for half in HALVES]
    assert [(matrix.rows()[name], matrix.lines()[name]) for name in names] == [(1, 1)] * len(names)
    assert matrix.held() == 0
