"""Looking without receiving: by state, group key and text; bounded, and saying how much was looked at."""

import re

import pytest
from django.db import connection

from mqsite.errors import Invalid
from queues import selectors, services
from queues.declarations import Queue
from queues.errors import JsonPathInvalid, SearchMarkGone
from queues.models import Message
from queues.services import NewMessage
from tests.queues.conftest import Receive, sent_ids
from tests.queues.test_queue_plans import FILL, counted

pytestmark = pytest.mark.django_db(transaction=True)


def found(**options: object) -> list[str | None]:
    return [m.text for m in selectors.search("bookings", **options).messages]  # type: ignore[arg-type]


def test_each_state_is_looked_through_in_its_order_and_nothing_changes(bookings: Queue, receive: Receive) -> None:
    services.send_many(
        bookings,
        [
            *(NewMessage(f"dead {n}", priority=9) for n in range(2)),
            *(NewMessage(f"leased {n}", priority=8) for n in range(2)),
            *(NewMessage(f"ready {n}", priority=n) for n in range(3)),
            *(NewMessage(f"scheduled {n}", delay_seconds=60 - n) for n in range(2)),
        ],
    )
    lease = receive(2)
    services.reject(lease.token, [m.id for m in lease.messages], queue=bookings)
    receive(2)
    before = list(Message.objects.order_by("id").values())
    assert found(state="dead") == ["dead 0", "dead 1"]
    assert found(state="leased") == ["leased 0", "leased 1"]
    assert found() == ["ready 2", "ready 1", "ready 0"]
    assert found(state="scheduled") == ["scheduled 1", "scheduled 0"]
    assert list(Message.objects.order_by("id").values()) == before


def test_text_is_found_in_payload_headers_and_error(bookings: Queue, receive: Receive) -> None:
    ids = sent_ids(
        bookings,
        [NewMessage("seat 7A"), NewMessage("x", headers=[("seat", "7A")]), NewMessage("y"), NewMessage(b"\xff7A")],
    )
    assert [m.id for m in selectors.search("bookings", text="7A").messages] == [ids[0], ids[1], ids[3]]
    services.reject((lease := receive()).token, [m.id for m in lease.messages], queue=bookings, error="é no 9B")
    assert len(found(state="dead", text="é no 9B")) == 4
    assert found(state="dead", text="%") == []


def test_a_json_path_is_looked_for_in_payloads_and_what_is_no_json_counts_as_looked_at(bookings: Queue) -> None:
    payloads = [{"seats": [{"row": 7}]}, {"seats": [{"row": 8}, {"row": 1}]}, {"row": 9}, "row 9", 9]
    odd = [b"\xff", b"{", b"", b'{"a": "\\u0000"}', b"9" * 200_000, b"[" * 20_000, b'{"seats": [{"row": 8.0}]}']
    ids = sent_ids(bookings, [NewMessage(payload) for payload in [*payloads, *odd]])
    look = selectors.search("bookings", json_path="$.seats[*] ? (@.row > 7)")
    assert ([m.id for m in look.messages], look.scanned) == ([ids[1], ids[-1]], len(ids))
    assert len(selectors.search("bookings", json_path="$.seats", text="8").messages) == 2
    assert selectors.search("bookings", json_path="$.seats", most_scanned=1).scanned == 1


@pytest.mark.parametrize("path", ["", "$.", "seats", '$ ? (@ like_regex "(")', "9e999999"])
def test_a_path_that_is_none_is_refused_with_what_is_wrong(bookings: Queue, path: str) -> None:
    with pytest.raises(JsonPathInvalid, match=re.escape(repr(path)) + " is no SQL/JSON path: .+ One is"):
        selectors.search("bookings", json_path=path)


@pytest.mark.parametrize("name", ["text", "json_path", "group_key"])
def test_what_is_sought_is_limited(bookings: Queue, name: str) -> None:
    for sought in ("x" * 10_001, "\0"):
        with pytest.raises(Invalid, match=f"{name} is text of at most 10,000 characters"):
            selectors.search("bookings", **{name: sought})  # type: ignore[arg-type]


def test_a_group_key_is_looked_for_in_plain_and_ordered_queues(bookings: Queue) -> None:
    services.create_queue("trips", owner="sales", is_ordered=True)
    for queue in ("bookings", "trips"):
        services.send_many(queue, [NewMessage(f"{key}{n}", group_key=key) for n in range(3) for key in "ab"])
    assert found(group_key="b") == ["b0", "b1", "b2"]
    waiting = selectors.search("trips", state="waiting", group_key="b")
    assert [m.text for m in waiting.messages] == ["b1", "b2"]
    assert waiting.scanned == 2, "the key's own messages only"


@pytest.mark.parametrize("state", ["ready", "scheduled", "waiting", "leased", "dead"])
def test_pages_follow_each_other_without_gaps(bookings: Queue, state: str) -> None:
    services.create_queue("trips", owner="sales", is_ordered=True)
    queue = "trips" if state == "waiting" else "bookings"
    key = "a" if state == "waiting" else None
    delay = 60.0 if state == "scheduled" else 0.0
    texts = [str(n) for n in range(25)]
    services.send_many(queue, [NewMessage(text, group_key=key, delay_seconds=delay) for text in texts])
    if state in ("leased", "dead"):
        lease = services.receive(queue, holder="w", boundary="sales", max_messages=100)
        assert lease is not None
        if state == "dead":
            services.reject(lease.token, [m.id for m in lease.messages], queue=queue)
    seen: list[str | None] = []
    scanned, after = 0, None
    while True:
        page = selectors.search(queue, state=state, limit=4, after=after)
        seen += [m.text for m in page.messages]
        scanned += page.scanned
        after = page.after
        if after is None:
            break
    assert seen == (texts[1:] if state == "waiting" else texts)
    assert scanned == len(seen)


def test_a_page_whose_last_message_has_moved_on_is_not_taken_for_the_end(bookings: Queue) -> None:
    services.send_many(bookings, [NewMessage(n, delay_seconds=60 + n) for n in range(5)])
    page = selectors.search("bookings", state="scheduled", limit=2)
    services.cancel(bookings, [page.messages[-1].id])
    with pytest.raises(SearchMarkGone, match="begin the search again"):
        selectors.search("bookings", state="scheduled", limit=2, after=page.after)


def test_a_search_stops_where_it_shall_and_says_how_far_it_came(bookings: Queue) -> None:
    services.send_many(bookings, [NewMessage(n) for n in range(50)])
    page = selectors.search("bookings", text="49", most_scanned=30)
    assert (page.messages, page.scanned) == ([], 30)
    page = selectors.search("bookings", text="49", most_scanned=30, after=page.after)
    assert ([m.text for m in page.messages], page.scanned, page.after) == (["49"], 20, None)
    for options, said in (
        ({"limit": 0}, "limit is 0"),
        ({"most_scanned": 100_001}, "most_scanned is 100001"),
        ({"state": "staged"}, "state is 'staged'"),
    ):
        with pytest.raises(Invalid, match=said):
            selectors.search("bookings", **options)


@pytest.mark.parametrize("state", ["ready", "scheduled", "dead"])
def test_a_page_of_a_long_queue_reads_little(bookings: Queue, state: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL, [selectors.locate_queue("bookings").queue_id])
    with counted() as read:
        assert len(selectors.search("bookings", state=state, limit=10).messages) == 10
    assert read["seq_scan"] == 0
    assert read["idx_tup_fetch"] < 200


def test_depth_is_exact_up_to_its_limit_and_says_so_beyond(bookings: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    services.send_many(bookings, [NewMessage(n) for n in range(7)])
    monkeypatch.setattr(selectors, "COUNT_LIMIT", 7)
    told = selectors.describe_queue("bookings")
    assert (told["counts"]["ready"], told["count_limit"]) == (7, 7)
    monkeypatch.setattr(selectors, "COUNT_LIMIT", 8)
    assert selectors.describe_queue("bookings")["counts"]["ready"] == 7
