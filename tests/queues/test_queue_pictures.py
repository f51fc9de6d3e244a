"""Lanes draw every message while there are few, and say what a square stands for when there are many."""

from typing import Any

import pytest

from queues import pictures


def queue(**counts: int) -> dict[str, Any]:
    known = {"scheduled": 0, "ready": 0, "leased": 0, "dead": 0}
    return {
        "name": "mail",
        "owner": "post",
        "description": "",
        "lease_seconds": 30,
        "max_receives": 5,
        "is_ordered": False,
        "paused": False,
        "pause": None,
        "counts": {**known, **counts},
        "count_limit": 10_000,
        "oldest_ready_seconds": 3.1 if counts.get("ready") else None,
        "cards": {lane: [] for lane in known},
    }


@pytest.mark.parametrize(
    ("ready", "unit", "said"),
    [
        (24, 1, ""),
        (25, 1, "1 square is 1 message."),
        (300, 1, "1 square is 1 message."),
        (301, 2, "1 square is 2 messages."),
        (9_999, 50, "1 square is 50 messages."),
    ],
)
def test_a_lane_turns_from_cards_to_squares_to_squares_of_a_round_number(ready: int, unit: int, said: str) -> None:
    lane = pictures.draw_queue(queue(ready=ready))["lanes"]["ready"]
    assert (lane["unit"], lane["said"], lane["squares"] is None) == (unit, said, ready == 24)


def test_squares_are_full_rows_and_a_rest() -> None:
    lane = pictures.draw_queue(queue(ready=100))["lanes"]["ready"]
    assert lane["squares"] == {"box": "0 0 420 30", "width": 420, "full": 20, "rest": 160}


def test_a_count_at_its_limit_is_not_shown_as_exact() -> None:
    drawn = pictures.draw_queue(queue(ready=10_000))
    assert drawn["lanes"]["ready"]["count"] == "10,000 or more"
    assert drawn["say"] == "10,000 or more ready, the oldest for 3.1 s. Keeping up."


def test_a_leased_card_names_its_worker_and_shows_what_is_left_of_the_lease() -> None:
    card = {"id": 7, "label": "N14228", "worker": "web-1:4711:0a1b2c3d", "lease_left": 15.0, "receives": 2}
    one = queue(leased=1)
    one["cards"]["leased"] = [card]
    (drawn,) = pictures.draw_queue(one)["lanes"]["leased"]["cards"]
    assert (drawn["fact"], drawn["left"], drawn["times"]) == ("web-1:4711", "50.0%", "2\u00d7")
    (bare,) = pictures.draw_queue(one, payload_free=True)["lanes"]["leased"]["cards"]
    assert (bare["label"], bare["fact"]) == ("7", "leased")


def test_dead_letters_and_long_waits_are_problems_with_a_sentence() -> None:
    late = {**queue(ready=9, dead=1), "oldest_ready_seconds": 420.0}
    died = {"id": 1, "label": "k", "died_at": "2026-11-24T09:14:02+00:00", "receives": 5}
    late["cards"]["dead"] = [{**died, "reason": "max_receives", "detail": "HTTP 503"}]
    dead, waiting = pictures.find_problems([late])
    assert dead["title"].startswith("1 dead letter in mail since ")
    assert dead["text"] == "Out of receives. It waits until someone redrives or purges it."
    assert waiting["title"] == "mail is 7 minutes behind"
