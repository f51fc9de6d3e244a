"""Strips say where everything is: the same places for the template and for the script."""

from typing import Any

import pytest

from logs import keeping, pictures
from logs.pictures import WHOLE_LOG
from mqsite.words import say_duration, say_size

KAFKAS = {"cleanup.policy": "delete", "retention.ms": 604_800_000, "retention.bytes": -1}


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
        "size_bytes": 4_500_000,
        "configs": KAFKAS,
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
    assert drawn["partitions"][0]["empty_text"] == "empty: nothing was published yet"


def test_a_partition_that_stands_still_is_the_first_problem_and_names_the_record() -> None:
    failing = {"offset": 3_902, "attempts": 4, "error": "KeyError: 'YV'", "retry_in": 38.0}
    orders = topic(partition(3_902, end=4_512, lag_seconds=712.0, failing=failing), partition(9, end=9, number=1))
    (problem,) = pictures.find_problems([orders])
    assert problem["title"] == "billing is 12 minutes behind on orders"
    assert problem["lead"] == "Partition 0 stands still at offset 3,902."
    assert "KeyError: 'YV'" in problem["text"]
    assert "next try in 38 s. 609 records wait behind it" in problem["text"]
    (open_problem,) = pictures.find_problems([orders], payload_free=True)
    assert "KeyError" not in str(open_problem)
    failing["retry_in"] = None
    (blocked,) = pictures.find_problems([orders])
    assert "and is not tried again until somebody asks for it. 609" in blocked["text"]


def test_of_many_groups_the_late_ones_are_drawn_and_the_rest_counted() -> None:
    names = [f"group-{n}" for n in range(13)]
    groups = [position(90, end=100, group=n, lag_seconds=900.0 if n == "group-12" else 0.1) for n in names]
    many = {**topic({"number": 0, "log_start": 0, "log_end": 100, "groups": groups}), "groups": names}
    drawn = pictures.draw_topic(many)
    assert [g["name"] for g in drawn["groups"]] == ["group-0", "group-1", "group-2", "group-12"]
    assert drawn["more_groups"] == "and 9 more"


def test_a_topic_says_how_large_it_is_and_what_it_keeps() -> None:
    assert pictures.draw_topic(topic(partition(0, end=10)))["size"] == "4.5 MB"
    row = pictures.draw_topic_row(topic(partition(0, end=10)))
    assert (row["records"], row["size"], row["keeps"]) == ("10", "4.5 MB", "7 days")


@pytest.mark.parametrize(
    ("policy", "age", "size", "said"),
    [
        ("delete", 604_800_000, -1, "keeps 7 days"),
        ("delete", 604_800_000, 1_200_000_000, "keeps 7 days, at most 1.2 GB a partition"),
        ("delete", -1, 1_200_000_000, "keeps at most 1.2 GB a partition"),
        ("delete", -1, -1, "keeps everything"),
        ("compact", 604_800_000, 5, "keeps the newest record of each key"),
        ("compact,delete", -1, -1, "keeps the newest record of each key"),
        ("compact,delete", 3_600_000, -1, "keeps the newest record of each key, for 1 hour"),
        ("compact,delete", 1_000, 5, "keeps the newest record of each key, for 1 second, at most 5 B a partition"),
    ],
)
def test_retention_is_said_in_words(policy: str, age: int, size: int, said: str) -> None:
    configs = {"cleanup.policy": policy, "retention.ms": age, "retention.bytes": size}
    assert keeping.say_retention(configs) == said


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0 milliseconds"),
        (1, "1 millisecond"),
        (1_500, "1,500 milliseconds"),
        (90_000, "90 seconds"),
        (5_400_000, "90 minutes"),
        (129_600_000, "36 hours"),
        (86_400_000, "1 day"),
        (31_536_000_000, "365 days"),
    ],
)
def test_a_duration_is_said_exactly(milliseconds: int, said: str) -> None:
    assert say_duration(milliseconds) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_200_000_000, "1.2 GB"),
        (5 * 10**12, "5.0 TB"),
        (2**63 - 1, "9,223,372.0 TB"),
    ],
)
def test_a_size_is_said_in_its_unit(size: int, said: str) -> None:
    assert say_size(size) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("retention.ms", -1, "forever"),
        ("retention.bytes", -1, "no limit"),
        ("max.message.bytes", 1_048_588, "1.0 MB"),
        ("min.compaction.lag.ms", 0, "0"),
        ("index.keys", False, "no"),
        ("cleanup.policy", "delete", "delete"),
    ],
)
def test_a_configuration_is_said_in_words(name: str, value: Any, said: str) -> None:
    assert keeping.say_config(name, value) == said


def test_a_deletion_says_what_goes_and_who_has_not_read_it() -> None:
    orders = topic(partition(2, end=10), partition(90, end=100, start=50, number=1), partition(0, end=0, number=2))
    drawn = keeping.draw_deletion(orders, {0: 6, 1: 1_000, 2: 5})
    assert drawn["targets"] == {0: 6, 1: 100}
    assert drawn["said"] == "56 records of 2 partitions of orders will be gone for good."
    assert drawn["unread"] == ["billing has not read 14 of them, and never will."]
    assert drawn["rows"] == [["0", "0", "10", "6", "6"], ["1", "50", "100", "100", "50"]]


def test_a_deletion_of_nothing_and_of_a_compacted_topic_is_said_as_it_is() -> None:
    orders = topic(partition(10, end=10, start=5))
    drawn = keeping.draw_deletion(orders, {0: 5})
    assert (drawn["said"], drawn["targets"], drawn["rows"]) == ("Nothing of orders is before that.", {}, [])
    compacted = {**orders, "configs": {**KAFKAS, "cleanup.policy": "compact"}}
    drawn = keeping.draw_deletion(compacted, {0: 8})
    assert drawn["said"] == "At most 3 records of 1 partition of orders will be gone for good."
    assert (drawn["records"], drawn["unread"]) == ("at most 3 records", [])


def test_the_deletion_of_a_topic_says_what_goes_with_it() -> None:
    orders = topic(partition(2, end=10))
    assert keeping.say_topic_deletion(orders, is_declared=False) == [
        "10 records in 1 partition, 4.5 MB, will be gone for good.",
        "So will the offsets of billing on it.",
        "What shop publishes to orders from then on is refused.",
    ]
    assert keeping.say_topic_deletion({**orders, "groups": []}, is_declared=True)[1::2] == [
        "No group reads it.",
        "It is declared in code: the next migrate makes it anew, empty.",
    ]
