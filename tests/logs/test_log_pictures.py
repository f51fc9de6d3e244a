"""Strips say where everything is: the same places for the template and for the script."""

from typing import Any

import pytest

from logs import pictures
from logs.pictures import WHOLE_LOG


def position(committed: int | None, *, end: int, start: int = 0, **more: Any) -> dict[str, Any]:
    lag = end - max(start, committed or 0)
    known = {"group": "billing", "committed": committed, "lag": lag, "lag_seconds": 1.0 if lag else None}
    return {**known, "owner": "member", "epoch": 1, "failing": None, **more}


def topic(*partitions: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "orders",
        "owner": "shop",
        "description": "",
        "records": sum(p["log_end"] - p["log_start"] for p in partitions),
        "partition_count": len(partitions),
        "groups": ["billing"],
        "partitions": list(partitions),
    }


def partition(committed: int | None, *, end: int, start: int = 0, number: int = 0, **more: Any) -> dict[str, Any]:
    groups = [position(committed, end=end, start=start, **more)]
    return {"number": number, "log_start": start, "log_end": end, "groups": groups}


def test_a_marker_stands_at_its_share_of_the_window() -> None:
    drawn = pictures.draw_topic(topic(partition(9_950, end=10_000)), window=200)
    (strip,) = drawn["partitions"]
    (mark,) = strip["marks"]
    assert (strip["torn"], mark["x"], mark["flip"], mark["behind"]) == (True, "75.00%", True, "50 behind")
    assert (strip["all"], strip["some"]) == ("75.00%", "75.00%")


def test_whole_logs_are_on_one_scale() -> None:
    drawn = pictures.draw_topic(topic(partition(0, end=100), partition(25, end=50, number=1)), window=WHOLE_LOG)
    assert [p["bed"] for p in drawn["partitions"]] == ["100.00%", "50.00%"]
    assert drawn["partitions"][1]["marks"][0]["x"] == "25.00%"


@pytest.mark.parametrize(
    ("committed", "start", "label", "hollow"),
    [
        (None, 0, "billing, not started", True),
        (100, 0, "billing, 700 further back", False),
        (100, 500, "billing, lost 400 to retention", True),
        (950, 0, "billing", False),
    ],
)
def test_a_marker_that_has_no_place_says_why(committed: int | None, start: int, label: str, hollow: bool) -> None:
    drawn = pictures.draw_topic(topic(partition(committed, end=1_000, start=start)), window=200)
    (mark,) = drawn["partitions"][0]["marks"]
    assert (mark["label"], mark["hollow"]) == (label, hollow)


def test_the_window_fits_the_worst_lag_and_does_not_jump() -> None:
    orders = topic(partition(99_900, end=100_000))
    assert pictures.choose_window(orders) == 200
    assert pictures.choose_window(orders, keep=1_000) == 1_000  # still fits: the picture stays as it is
    assert pictures.choose_window(orders, keep=100_000) == 200
    assert pictures.choose_window(topic(partition(60_000, end=100_000))) == WHOLE_LOG
    assert pictures.choose_window(topic(partition(20, end=40))) == WHOLE_LOG


def test_an_empty_partition_says_so() -> None:
    drawn = pictures.draw_topic(topic(partition(None, end=0)))
    assert drawn["partitions"][0]["empty_text"] == "empty: nothing was published to this partition yet"


def test_a_partition_that_stands_still_is_the_first_problem_and_names_the_record() -> None:
    failing = {"offset": 3_902, "attempts": 4, "error": "KeyError: 'YV'", "retry_in": 38.0}
    orders = topic(partition(3_902, end=4_512, lag_seconds=712.0, failing=failing), partition(9, end=9, number=1))
    (problem,) = pictures.find_problems([orders])
    assert problem["title"] == "billing is 12 minutes behind on orders"
    assert problem["lead"] == "Partition 0 stands still at offset 3,902."
    assert "KeyError: 'YV'" in problem["text"]
    assert "609 records wait behind it" in problem["text"]
    (open_problem,) = pictures.find_problems([orders], payload_free=True)
    assert "KeyError" not in str(open_problem)


def test_of_many_groups_the_late_ones_are_drawn_and_the_rest_counted() -> None:
    names = [f"group-{n}" for n in range(13)]
    groups = [position(90, end=100, group=n, lag_seconds=900.0 if n == "group-12" else 0.1) for n in names]
    many = {**topic({"number": 0, "log_start": 0, "log_end": 100, "groups": groups}), "groups": names}
    drawn = pictures.draw_topic(many)
    assert [g["name"] for g in drawn["groups"]] == ["group-0", "group-1", "group-2", "group-12"]
    assert drawn["more_groups"] == "and 9 more"
