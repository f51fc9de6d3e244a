"""docs/guarantees.md says what the matrix promises, all of it; and the selection that CI runs meets every pair."""

from collections import Counter

from mqsite.handling import DELIVERIES
from tests.faults.cells import CELLS, DIES, FULL, HALVES, PAIRWISE, WHENS, choose, pairs_of
from tests.faults.guarantees import DEATHS, MOMENTS, PAGE, read, render


def test_the_page_has_a_row_for_every_cell_with_the_promises_of_the_code() -> None:
    rows = read(PAGE.read_text())
    promises = {cell: (rows, outside) for cell, (rows, outside, _) in rows.items()}
    assert promises == {cell: (str(cell.promise.database), str(cell.promise.outside)) for cell in CELLS}
    assert len(rows) == len(DIES) * len(WHENS) * len(HALVES) * len(DELIVERIES)


def test_what_was_seen_keeps_what_is_promised() -> None:
    assert [cell for cell, (_, _, seen) in read(PAGE.read_text()).items() if not seen.keeps(cell.promise)] == []


def test_the_page_is_as_the_full_run_writes_it() -> None:
    page = PAGE.read_text()
    assert render({cell: seen for cell, (_, _, seen) in read(page).items()}) == page
    assert (set(DEATHS), set(MOMENTS)) == (set(DIES), set(WHENS))


def test_the_pairwise_selection_meets_every_pair_with_few_cells_in_each_round() -> None:
    chosen = choose(PAIRWISE)
    assert set().union(*map(pairs_of, chosen)) == set().union(*map(pairs_of, choose(FULL)))
    assert max(Counter(cell.dies for cell in chosen).values()) <= 5
