"""Pages of messages: looked at without receiving, never as HTML, and honest about what is gone."""

import html
from urllib.parse import urlencode

import pytest
from django.test import Client

from queues import listings, services
from queues.models import Message
from queues.services import NewMessage
from tests.queues.conftest import TRACEBACK, Kill, Receive, sent_id, sent_ids
from tests.queues.opening import SCRIPT, opened

pytestmark = pytest.mark.django_db


def test_messages_are_searched_and_the_page_says_how_many_it_looked_at(ann: Client) -> None:
    needle, *_ = sent_ids("bookings", [NewMessage(f"seat {n}A", group_key=f"lh{n % 2}") for n in range(6)])
    page = opened(ann, "messages/", text="seat 0A")
    assert "1 found, 6 looked at: all there are." in page
    assert f"/queues/bookings/messages/{needle}/" in page
    assert "3 found, 6 looked at" in opened(ann, "messages/", key="lh1")
    assert "0 found" in opened(ann, "messages/", text="nothing like it")
    for wrong in ({"after": "x"}, {"text": "x" * 300}, {"state": "staged"}, {"key": "a\0b"}):
        assert ann.get("/queues/bookings/messages/", wrong).status_code == 200, wrong


def test_the_next_page_goes_on_where_the_last_one_ended(ann: Client) -> None:
    ids = sent_ids("bookings", [NewMessage(n) for n in range(listings.MOST_LISTED + 5)])
    page = opened(ann, "messages/")
    assert f"{listings.MOST_LISTED} found, {listings.MOST_LISTED} looked at: more to look at." in page
    after = f"0,{Message.objects.get(id=ids[listings.MOST_LISTED - 1]).position}"
    assert f"?{urlencode({'state': 'ready', 'after': after})}" in page
    page = opened(ann, "messages/", after=after)
    assert "5 found, 5 looked at: all there are." in page


def test_a_page_whose_mark_has_moved_on_says_so(ann: Client) -> None:
    services.send("bookings", 1, delay_seconds=60)
    page = opened(ann, "messages/", state="scheduled", after="0,999999")
    assert "has moved on meanwhile" in page
    assert "From the beginning" in page


def test_messages_are_looked_at_and_not_received(ann: Client) -> None:
    id_ = sent_id("bookings", 1)
    opened(ann, "messages/")
    opened(ann, f"messages/{id_}/")
    message = Message.objects.get(id=id_)
    assert (message.receives, message.state) == (0, Message.State.READY)


@pytest.mark.parametrize("where", ["", "messages/?state=dead", "messages/{id}/", "redrive/?id={id}"])
def test_nothing_of_a_message_is_ever_html(ann: Client, receive: Receive, where: str) -> None:
    message = NewMessage(SCRIPT, group_key=SCRIPT, headers=[(SCRIPT, SCRIPT)])
    (id_,) = sent_ids("bookings", [message], sender="web")
    services.reject(receive().token, [id_], queue="bookings", error=SCRIPT)
    page = ann.get(f"/queues/bookings/{where.format(id=id_)}").content.decode()
    assert SCRIPT not in page
    assert str(id_) in page


def test_a_long_payload_is_cut_with_its_size_and_not_inside_a_character(ann: Client) -> None:
    id_ = sent_id("bookings", ("é" * 60_000 + "end").encode())
    page = opened(ann, f"messages/{id_}/")
    assert "The first 100.0 kB of 120.0 kB." in page
    assert "é" * 50_000 in page
    odd = sent_id("bookings", ("x" + "é" * 60_000).encode())
    assert "The first 100.0 kB of 120.0 kB." in opened(ann, f"messages/{odd}/")
    assert "c3 a9" not in opened(ann, f"messages/{odd}/"), "half a character is left out"
    binary = sent_id("bookings", b"\xff\x00\xfe")
    assert "ff 00 fe" in opened(ann, f"messages/{binary}/")


def test_a_dead_letter_tells_why_with_its_traceback(ann: Client, dead: Kill) -> None:
    (id_,) = dead(1)
    page = opened(ann, f"messages/{id_}/")
    assert TRACEBACK in page
    assert "rejected by the handler" in page
    assert "It is dead: it died" in page
    rows = opened(ann)
    assert "app.Refused: no seat" in rows
    assert "Traceback" not in rows, "a table shows the last line"


def test_a_message_that_is_gone_answers_what_became_of_it(ann: Client, receive: Receive) -> None:
    services.alter_queue("bookings", outcome_seconds=3_600, actor="ann")
    id_ = sent_id("bookings", 1)
    services.ack(receive(holder="till-1").token, [id_], queue="bookings")
    page = opened(ann, f"messages/{id_}/")
    assert "Acknowledged by till-1, 1 second ago, after 1 receive." in page


@pytest.mark.parametrize("id_", ["999", "0", "9" * 30])
def test_a_message_of_which_nothing_is_kept_is_not_found_and_says_why(ann: Client, id_: str) -> None:
    answer = ann.get(f"/queues/bookings/messages/{id_}/")
    assert answer.status_code == 404
    assert "its outcome_seconds is 0" in answer.content.decode()


def test_a_letter_that_went_to_another_queue_is_shown_there(ann: Client, receive: Receive) -> None:
    services.create_queue("lost", owner="sales")
    services.alter_queue("bookings", dead_letter_queue="lost", actor="ann")
    id_ = sent_id("bookings", 1)
    services.reject(receive().token, [id_], queue="bookings")
    assert ann.get(f"/queues/bookings/messages/{id_}/")["Location"] == f"/queues/lost/messages/{id_}/"
    page = html.unescape(ann.get(f"/queues/lost/messages/{id_}/").content.decode())
    assert "in bookings" in page
    assert f"/queues/lost/redrive/?id={id_}" in page
    assert "what died elsewhere lies ready in it" in ann.get("/queues/lost/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_message_is_found_by_its_id_or_its_deduplication_id(ann: Client) -> None:
    id_ = sent_id("bookings", 1, dedup_id="order-1/book")
    assert ann.get("/queues/bookings/messages/", {"find": "order-1/book"})["Location"].endswith(f"/messages/{id_}/")
    assert ann.get("/queues/bookings/messages/", {"find": "77"})["Location"].endswith("/messages/77/")
    assert "No deduplication id “other”" in opened(ann, "messages/", find="other")
    assert "order-1/book" in opened(ann, f"messages/{id_}/")
