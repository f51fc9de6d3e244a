"""Pages of a queue: they say the numbers first, ask why, and do what they showed."""

import html
from urllib.parse import urlencode

import pytest
from django.test import Client

from mqsite.models import AuditEntry, WorkerProcess
from queues import listings, queue_views, selectors, services, views
from queues.models import Handling, Message, Redrive
from queues.services import NewMessage
from tests.queues.conftest import Kill, Receive, sent_id, sent_ids
from tests.queues.opening import SCRIPT, audited, bob, opened, sent

pytestmark = pytest.mark.django_db


def state(id_: int) -> int:
    return int(Message.objects.get(id=id_).state)


# The list


def test_queues_are_found_by_name_and_owner_and_paged(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        services.create_queue(f"mail-{n}", owner="post")
    services.pause_queue("mail-1", actor="ann")
    monkeypatch.setattr(views, "MOST_ROWS", 2)
    page = ann.get("/queues/").content.decode()
    assert [name in page for name in ("bookings", "mail-0", "mail-1")] == [True, True, False]
    assert "?q=&amp;after=mail-0" in page
    page = ann.get("/queues/", {"q": "mail", "after": "mail-0"}).content.decode()
    assert ("mail-0/" in page, "mail-2/" in page, "paused" in page, "Next page" in page) == (False, True, True, False)
    page = ann.get("/queues/?q=POST").content.decode()
    assert ("mail-0" in page, "bookings" in page) == (True, False)
    page = ann.get("/queues/", {"q": SCRIPT}).content.decode()
    assert "No queue of" in page
    assert SCRIPT not in page


def test_of_a_page_the_queue_that_waits_longest_comes_first(ann: Client) -> None:
    services.create_queue("alpha", owner="post")
    Message.objects.filter(id=sent_id("bookings", 1)).update(enqueued_at="2020-01-01T00:00Z")
    page = ann.get("/queues/").content.decode()
    assert page.index("/queues/bookings/") < page.index("/queues/alpha/")


# The page of a queue


def test_settings_are_said_in_words(ann: Client) -> None:
    services.create_queue("lost", owner="sales")
    services.alter_queue("bookings", actor="ann", dead_letter_queue="lost", max_length=1_000, message_ttl_seconds=60)
    page = opened(ann)
    assert "at most 1,000 messages, then sends are refused" in page
    assert "after 3 receives, or 1 minute unreceived" in page
    assert 'dead letters go to <a href="/queues/lost/">' in page
    assert 'dead letters of <a href="/queues/bookings/">' in ann.get("/queues/lost/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_what_waits_behind_heads_has_a_lane_of_its_own(ann: Client) -> None:
    services.create_queue("ledger", owner="sales", is_ordered=True)
    sent_ids("ledger", [NewMessage(n, group_key="a") for n in range(3)])
    page = html.unescape(ann.get("/queues/ledger/").content.decode())
    assert 'data-lane="waiting"' not in opened(ann)
    lane = page[page.index('data-lane="waiting"') :]
    assert lane.index('<span class="c" data-count>2</span>') < lane.index('data-lane="dead"')
    assert "1 ready, the oldest for" in page
    assert "2 behind their keys' heads." in page
    rows = html.unescape(ann.get("/queues/ledger/messages/?state=waiting").content.decode())
    assert "2 found, 2 looked at: all there are." in rows


def test_who_handles_it_and_who_holds_leases_is_listed(ann: Client, receive: Receive) -> None:
    WorkerProcess.objects.create(name="web-1:7:0a1b2c3d", handles=["queues:bookings"])
    WorkerProcess.objects.create(name="web-2:8:0a1b2c3d", handles=["queues:bookings-of-others"])
    WorkerProcess.objects.create(name="web-3:9:0a1b2c3d", handles=["queues:bookings"], seen_at="2020-01-01T00:00Z")
    sent_ids("bookings", [NewMessage(n) for n in range(2)])
    receive(2, holder="till-1")
    assert listings.list_holders("bookings") == [
        {"name": "web-1:7:0a1b2c3d", "is_worker": True, "messages": 0, "lease_left": None},
        {"name": "till-1", "is_worker": False, "messages": 2, "lease_left": pytest.approx(30, abs=5)},
    ]
    page = opened(ann)
    assert "1 worker process alive with its handler." in page
    assert ("web-1:7" in page, "till-1" in page, "web-2:8" in page) == (True, True, False)


def test_what_a_worker_has_in_hand_in_its_transaction_is_counted(ann: Client) -> None:
    mine, other = sent_ids("bookings", [NewMessage(n) for n in range(2)])
    services.create_queue("other", owner="sales")
    foreign = sent_id("other", 1)
    for n, ids in enumerate(([mine, other], [foreign])):
        Handling.objects.create(
            id=f"w/{n}", worker="w", seen_at="2030-01-01T00:00Z", message_ids=ids, receives=[0] * len(ids)
        )
    (holder,) = listings.list_holders("bookings")
    assert (holder["name"], holder["messages"]) == ("w", 2)


def test_outcomes_are_listed_where_the_queue_keeps_them(ann: Client, receive: Receive) -> None:
    assert "Not kept for this queue." in opened(ann)
    services.alter_queue("bookings", outcome_seconds=3_600, actor="ann")
    id_ = sent_id("bookings", 1, headers=[("correlation_id", SCRIPT)])
    services.ack(receive(holder="till-1").token, [id_], queue="bookings")
    page = ann.get("/queues/bookings/").content.decode()
    assert "acknowledged by till-1" in page
    assert SCRIPT not in page


# Verbs


def test_a_queue_is_paused_with_a_reason_and_resumed(ann: Client) -> None:
    services.send("bookings", 1)
    assert "1 ready, 0 scheduled." in opened(ann, "pause/")
    assert "Say why." in sent(ann, "pause/", reason=" ")
    assert selectors.describe_queue("bookings")["paused"] is False
    page = sent(ann, "pause/", reason=f"partner is down {SCRIPT}")
    assert "bookings is paused: nobody receives." in page
    assert "ann paused it at" in page
    assert "Pause…" not in page
    assert audited("pause queue")[:2] == ("ann", "bookings")
    assert SCRIPT not in ann.get("/queues/bookings/").content.decode()
    assert "is paused" not in sent(ann, "resume/")
    assert ann.get("/queues/bookings/resume/").status_code == 405


def test_a_purge_says_how_many_and_takes_no_more_than_it_said(ann: Client) -> None:
    sent_ids("bookings", [NewMessage(n) for n in range(2)])
    scheduled = sent_id("bookings", 1, delay_seconds=60)
    page = opened(ann, "purge/", state="ready")
    assert "Purge 2 ready messages from bookings? They are not kept as dead letters." in page
    assert 'name="shown" value="2"' in page
    late = sent_id("bookings", 3)
    page = sent(ann, "purge/?state=ready", shown="2", reason="a test's")
    assert "Purged 2 ready messages from bookings." in page
    assert list(Message.objects.order_by("id").values_list("id", flat=True)) == [scheduled, late]
    assert audited("purge") == ("ann", "bookings", "a test's")
    assert "bookings has no dead messages" in opened(ann, "purge/", state="dead")
    assert ann.get("/queues/bookings/purge/?state=leased").status_code == 404
    assert "Purge 2 messages" in opened(ann, "purge/", state="all")


def test_a_purge_of_more_than_can_be_counted_says_so(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "COUNT_LIMIT", 3)
    monkeypatch.setattr(queue_views, "MOST_PURGED", 4)
    sent_ids("bookings", [NewMessage(n) for n in range(6)])
    page = opened(ann, "purge/", state="ready")
    assert "Purge up to 4 ready messages" in page
    assert "at most 4 go at a time" in page
    assert "Purged 4 ready messages" in sent(ann, "purge/?state=ready", shown="4", reason="full")


def test_chosen_messages_are_cancelled_and_who_was_late_is_told(ann: Client, receive: Receive) -> None:
    held = sent_id("bookings", 1)
    receive()
    ready, scheduled = sent_id("bookings", 2), sent_id("bookings", 3, delay_seconds=60)
    asked = urlencode({"id": [held, ready, scheduled]}, doseq=True)
    page = opened(ann, f"cancel/?{asked}")
    assert "Cancel 2 messages of bookings?" in page
    assert "1 of the chosen was too late" in page
    page = sent(ann, f"cancel/?{asked}", reason="sent twice")
    assert "Cancelled 2 messages of bookings. 1 of the chosen was too late: received, or gone." in page
    assert list(Message.objects.values_list("id", flat=True)) == [held]
    assert audited("cancel") == ("ann", "bookings", "sent twice")
    assert AuditEntry.objects.get(action="cancel").facts == {"count": 2, "ids": [ready, scheduled]}
    assert "Nothing to cancel" in opened(ann, "cancel/?id=x&id=999999999999999999999")


def test_a_redrive_shows_what_fits_and_starts_a_job_with_that_filter(ann: Client, dead: Kill) -> None:
    dead(2, error="timeout")
    dead(1, error="no seat")
    services.create_queue("second", owner="sales")
    asked = {"only_text": "timeout", "to": "second", "rate": "0.5"}
    page = opened(ann, "redrive/", **asked)
    assert "<b>2 dead letters</b> would go to <b>second</b>, at most 0.5 a second, in about 4 seconds." in page
    assert "3 looked at." in page
    sent(ann, f"redrive/?{urlencode(asked)}", reason="")
    assert not Redrive.objects.exists()
    page = sent(ann, f"redrive/?{urlencode(asked)}", reason="partner is back")
    job = Redrive.objects.get()
    assert (job.only_text, job.target and job.target.name, job.rate_per_second, job.ids) == (
        *("timeout", "second", 0.5),
        None,
    )
    assert f"Redrive {job.id} has begun" in page
    assert "with “timeout”" in page
    assert "0 moved, 0 of 3 looked at" in page
    assert audited("start redrive") == ("ann", "bookings", "partner is back")


def test_the_preview_of_a_redrive_counts_what_the_job_then_moves(ann: Client, dead: Kill) -> None:
    ids = dead(4)
    Message.objects.filter(id=ids[1]).update(reason="max_receives", died_at="2020-01-01T00:00Z")
    Message.objects.filter(id=ids[2]).update(died_at="2020-01-01T00:00Z")
    for asked, fitting in (
        ({"only_reason": "max_receives"}, ids[1]),
        ({"died_before": "2021-01-01T00:00"}, ids[2]),
        ({"only_text": "letter 3"}, ids[3]),
        ({"died_after": "2021-01-01T00:00"}, ids[0]),
    ):
        assert "<b>1 dead letter</b>" in opened(ann, "redrive/", **asked), asked
        sent(ann, f"redrive/?{urlencode(asked)}", reason="one by one")
        assert services.work_redrives() == 1, asked
        assert state(fitting) == Message.State.READY, asked


def test_none_ticked_never_means_all(ann: Client, dead: Kill) -> None:
    first, second = dead(2)
    page = opened(ann, "redrive/", chosen="1")
    assert "No letter is chosen." in page
    assert "Redrive 2" not in page
    sent(ann, "redrive/?chosen=1", reason="by mistake")
    assert not Redrive.objects.exists()
    assert "<b>1 dead letter</b> would go" in opened(ann, "redrive/", chosen="1", id=first)
    sent(ann, f"redrive/?chosen=1&id={first}", reason="that one")
    services.work_redrives()
    assert (state(first), state(second)) == (Message.State.READY, Message.State.DEAD)


def test_what_is_wrong_with_a_redrive_is_named(ann: Client, dead: Kill) -> None:
    dead(1)
    services.create_queue("foreign", owner="post")
    assert "At most a second: Ensure this value is greater than or equal to 0.01" in opened(ann, "redrive/", rate="0")
    assert "To: Select a valid choice" in opened(ann, "redrive/", to="foreign")
    assert "Died before: Enter a valid date/time." in opened(ann, "redrive/", died_before="yesterday")
    assert "No dead letter fits: nothing would go." in opened(ann, "redrive/", only_text="never said")


def test_a_redrive_at_work_is_cancelled_with_its_numbers(ann: Client, dead: Kill) -> None:
    dead(2)
    job = services.start_redrive("bookings", rate_per_second=0.01, actor="bob")
    address = f"redrives/{job}/cancel/"
    assert f'href="/queues/bookings/{address}"' in opened(ann)
    assert "0 messages moved, 0 of 2 looked at so far." in opened(ann, address)
    page = sent(ann, address, reason="too slow")
    assert f"Redrive {job} was cancelled." in page
    assert "cancelled at" in page
    assert audited("cancel redrive") == ("ann", "bookings", "too slow")
    assert "is cancelled already" in opened(ann, address)
    services.create_queue("other", owner="sales")
    assert ann.get(f"/queues/other/{address}").status_code == 404
    for number in ("9999", "9" * 30):
        assert ann.get(f"/queues/bookings/redrives/{number}/cancel/").status_code == 404


def test_a_queue_is_deleted_by_its_name(ann: Client) -> None:
    services.send("bookings", 1)
    assert "bookings will be gone with all that is in it: 1 ready." in opened(ann, "delete/")
    assert "That is not its name" in sent(ann, "delete/", name="booking", reason="old")
    page = sent(ann, "delete/", name="bookings", reason="old")
    assert "Deleted bookings." in page
    assert audited("delete queue") == ("ann", "bookings", "old")
    assert ann.get("/queues/bookings/").status_code == 404


def test_a_queue_in_use_is_not_deleted_and_says_by_whom(ann: Client) -> None:
    services.create_queue("source", owner="sales", dead_letter_queue="bookings")
    page = sent(ann, "delete/", name="bookings", reason="old")
    assert "bookings is the dead-letter queue of source. Alter those first." in page


# Who may

VERBS = ("pause/", "purge/", "cancel/", "redrive/", "redrives/1/cancel/")


@pytest.mark.parametrize("verb", VERBS)
def test_who_may_only_look_is_refused_each_verb(ann: Client, verb: str) -> None:
    viewer = bob("view_message", "view_queue")
    assert viewer.get(f"/queues/bookings/{verb}").status_code == 403
    assert viewer.post(f"/queues/bookings/{verb}", {"reason": "x"}).status_code == 403


def test_an_operator_may_all_but_settings_and_deletion(ann: Client, dead: Kill) -> None:
    dead(1)
    operator = bob("change_message")
    page = opened(operator)
    offered = [word in page for word in ("Pause…", "Redrive…", "Purge…", ">Settings</a>", "Delete…")]
    assert offered == [True, True, True, False, False]
    for verb in VERBS[:-1]:
        assert operator.get(f"/queues/bookings/{verb}").status_code == 200
    assert operator.post("/queues/bookings/delete/", {"name": "bookings", "reason": "x"}).status_code == 403
    assert selectors.require_queue("bookings")


def test_who_may_only_look_is_offered_no_verb(ann: Client, dead: Kill) -> None:
    (id_,) = dead(1)
    services.start_redrive("bookings", actor="ann")
    services.pause_queue("bookings", actor="ann")
    viewer = bob()
    for address in ("", "messages/?state=dead", f"messages/{id_}/"):
        page = opened(viewer, address)
        for word in ("Pause…", "Redrive…", "Redrive chosen…", "Purge…", "Cancel…", "Resume", 'type="checkbox"'):
            assert word not in page, f"{word} on {address}"


@pytest.mark.parametrize("address", ["/queues/nowhere/", "/queues/nowhere/messages/", "/queues/nowhere/pause/"])
def test_a_queue_that_is_not_there_is_not_found(ann: Client, address: str) -> None:
    assert ann.get(address).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_the_head_of_a_key_is_cancelled_and_the_next_takes_its_place(ann: Client) -> None:
    services.create_queue("ledger", owner="sales", is_ordered=True)
    head, after = sent_ids("ledger", [NewMessage(n, group_key="a") for n in range(2)])
    ann.post(f"/queues/ledger/cancel/?id={head}", {"reason": "wrong"})
    assert state(after) == Message.State.READY
    ann.post("/queues/ledger/purge/?state=ready", {"reason": "all wrong", "shown": "1"})
    assert not Message.objects.exists()


def test_payloads_are_searched_with_a_json_path_and_a_wrong_one_is_said(ann: Client) -> None:
    services.create_queue("seats", owner="sales")
    services.send_many("seats", [services.NewMessage({"row": n}) for n in (7, 8)])
    page = ann.get("/queues/seats/messages/", {"path": "$ ? (@.row > 7)"}).content.decode()
    assert "1 found, 2 looked at" in page
    assert "&quot;row&quot;:8" in page
    wrong = ann.get("/queues/seats/messages/", {"path": "$."}).content.decode()
    assert "is no SQL/JSON path" in wrong
