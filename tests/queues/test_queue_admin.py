"""The admin looks, alters settings through the service, and leads to the pages that say the numbers first."""

import html
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from mqsite.errors import Invalid
from mqsite.models import AuditEntry, WorkerProcess
from queues import listings, services
from queues.admin import SHOWN_PAYLOAD_CHARACTERS
from queues.declarations import Queue
from queues.models import Message
from queues.models import Queue as Q
from queues.periodic import Periodic
from queues.services import NewMessage
from queues.settings import read_settings
from tests.queues.conftest import Receive, sent_id, sent_ids
from tests.queues.opening import bob

pytestmark = pytest.mark.django_db


def test_queues_are_listed_with_their_counts(ann: Client, bookings: Queue) -> None:
    services.send_many(bookings, [NewMessage(n) for n in range(3)])
    services.send(bookings, 1, delay_seconds=60)
    page = ann.get(reverse("admin:queues_queue_changelist")).content.decode()
    assert '<td class="field-ready">3</td>' in page
    assert '<td class="field-scheduled">1</td>' in page
    page = ann.get(reverse("admin:queues_queue_change", args=[bookings_id()])).content.decode()
    assert "How long a receiver has for what it received. 1 to 43,200. Default: 30." in page
    assert "/queues/bookings/delete/" in page


def test_messages_are_filtered_by_queue_and_state_and_vanish_when_acknowledged(
    ann: Client, bookings: Queue, receive: Receive
) -> None:
    services.create_queue("other", owner="sales")
    services.send("other", 1)
    gone, stays = sent_ids(bookings, [NewMessage(1, group_key="lh1"), NewMessage(2, group_key="lh2")])
    url = reverse("admin:queues_message_changelist")
    address = {"queue__id__exact": bookings_id(), "state__exact": 0}
    assert "2 messages" in ann.get(url, address).content.decode()
    lease = receive(1)
    services.ack(lease.token, [gone], queue=bookings)
    page = ann.get(url, address).content.decode()
    assert "1 message" in page
    assert "lh1" not in page
    assert "lh2" in page
    assert str(stays) in page


def test_a_payload_is_shown_cut_and_escaped_and_never_edited(ann: Client, bookings: Queue) -> None:
    id_ = sent_id(bookings, "<b>" + "x" * 5_000)
    page = ann.get(reverse("admin:queues_message_change", args=[id_])).content.decode()
    assert "&lt;b&gt;xxx" in page
    assert "x" * SHOWN_PAYLOAD_CHARACTERS not in page
    assert "… 5,003 characters" in page
    assert 'name="_save"' not in page
    assert ann.get(reverse("admin:queues_message_add")).status_code == 403
    assert ann.post(reverse("admin:queues_message_delete", args=[id_])).status_code == 403
    assert Message.objects.count() == 1


@pytest.mark.parametrize(("action", "page"), [("redrive", "redrive"), ("cancel", "cancel")])
def test_selected_messages_lead_to_the_page_that_says_what_would_happen(
    ann: Client, bookings: Queue, action: str, page: str
) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(3)])
    url = reverse("admin:queues_message_changelist")
    assert b"delete_selected" not in ann.get(url).content
    answer = ann.post(url, {"action": action, "_selected_action": [ids[2], ids[0]]})
    assert answer["Location"] == f"/queues/bookings/{page}/?id={ids[0]}&id={ids[2]}"
    assert ann.get(answer["Location"]).status_code == 200


def test_messages_of_two_queues_are_not_redriven_together(ann: Client, bookings: Queue) -> None:
    services.create_queue("other", owner="sales")
    ids = [sent_id(bookings, 1), sent_id("other", 1)]
    url = reverse("admin:queues_message_changelist")
    answer = ann.post(url, {"action": "redrive", "_selected_action": ids}, follow=True)
    assert "Choose messages of one queue" in answer.content.decode()


def test_every_state_is_shown(ann: Client, bookings: Queue, receive: Receive) -> None:
    services.send(bookings, 1, group_key="key-leased")
    receive(1)
    (dead,) = sent_ids(bookings, [NewMessage(2, group_key="key-dead")])
    services.reject(receive(1).token, [dead], queue=bookings, error="no seat")
    services.send_many(
        bookings, [NewMessage(3, group_key="key-ready"), NewMessage(4, group_key="key-scheduled", delay_seconds=60)]
    )
    page = ann.get(reverse("admin:queues_message_changelist")).content.decode()
    for word in ("key-ready", "key-scheduled", "key-leased", "key-dead", "Scheduled", "Leased", "Dead", "Waiting"):
        assert word in page
    page = ann.get(reverse("admin:queues_message_change", args=[dead])).content.decode()
    assert "no seat" in page
    assert f"/queues/bookings/messages/{dead}/" in page


# Queues


def changed(**fields: Any) -> dict[str, Any]:
    """The form of bookings as the page shows it, with some fields changed by hand."""
    shown = read_settings(Q.objects.get(name="bookings")) | {"description": ""}
    letters = shown.pop("dead_letter_queue")
    shown["dead_letter_queue"] = letters and Q.objects.get(name=letters).pk
    shown.pop("is_ordered")
    told = {name: "" if value is None else str(value) for name, value in shown.items()}
    return {**{f"initial-{name}": value for name, value in told.items()}, **told, "reason": "a test's", **fields}


def posted(client: Client, **fields: Any) -> str:
    url = reverse("admin:queues_queue_change", args=[bookings_id()])
    return html.unescape(client.post(url, changed(**fields), follow=True).content.decode())


def test_settings_are_altered_through_the_service_with_a_reason(ann: Client, bookings: Queue) -> None:
    before = Q.objects.get(name="bookings").revision
    services.create_queue("lost", owner="sales")
    posted(ann, lease_seconds="45", max_length="1000", dead_letter_queue=str(Q.objects.get(name="lost").pk))
    queue = Q.objects.get(name="bookings")
    assert (queue.lease_seconds, queue.max_length, queue.max_receives) == (45, 1_000, 3)
    assert queue.dead_letter_queue is not None
    assert queue.dead_letter_queue.name == "lost"
    assert queue.revision != before, "every process minds it from its next statement on"
    entry = AuditEntry.objects.get(action="alter queue")
    assert (entry.actor, entry.reason) == ("ann", "a test's")
    assert entry.facts["changed"] == {
        "lease_seconds": [30, 45],
        "max_length": [None, 1_000],
        "dead_letter_queue": [None, "lost"],
    }
    posted(ann, max_length="", lease_seconds="")
    queue.refresh_from_db()
    assert (queue.max_length, queue.lease_seconds) == (None, 30), "empty asks for none, or for the default"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lease_seconds": "0"}, "lease_seconds is 0; allowed are 1 to 43,200."),
        ({"max_receives": "2000"}, "max_receives is 2000; allowed are 1 to 1,000."),
        ({"backoff_jitter": "2"}, "backoff_jitter is 2.0; allowed are 0 to 1."),
        ({"lease_seconds": "45", "reason": ""}, "This field is required."),
        ({}, "Nothing is changed."),
    ],
)
def test_what_a_queue_cannot_be_is_refused_at_its_field(
    ann: Client, bookings: Queue, fields: dict[str, str], said: str
) -> None:
    assert said in posted(ann, **fields)
    assert not AuditEntry.objects.exists()


def test_two_who_alter_a_queue_at_once_do_not_undo_each_other(ann: Client, bookings: Queue) -> None:
    stale = changed(max_receives="9")
    services.alter_queue("bookings", lease_seconds=45, actor="bob")
    ann.post(reverse("admin:queues_queue_change", args=[bookings_id()]), stale)
    queue = Q.objects.get(name="bookings")
    assert (queue.lease_seconds, queue.max_receives) == (45, 9)


def test_a_refusal_of_the_service_is_said_and_nothing_is_altered(ann: Client, bookings: Queue) -> None:
    services.create_queue("lost", owner="sales")
    services.create_queue("source", owner="sales", dead_letter_queue="bookings")
    page = posted(ann, dead_letter_queue=str(Q.objects.get(name="lost").pk))
    assert "bookings is itself a dead-letter queue: it has none of its own." in page
    assert Q.objects.get(name="bookings").dead_letter_queue is None


@pytest.mark.parametrize(("action", "page"), [("pause", "pause"), ("redrive", "redrive"), ("purge", "purge")])
def test_a_chosen_queue_leads_to_its_page(ann: Client, bookings: Queue, action: str, page: str) -> None:
    services.create_queue("other", owner="sales")
    url = reverse("admin:queues_queue_changelist")
    answer = ann.post(url, {"action": action, "_selected_action": [bookings_id()]})
    assert answer["Location"] == f"/queues/bookings/{page}/"
    both = {"action": action, "_selected_action": [bookings_id(), Q.objects.get(name="other").pk]}
    assert "Choose one queue" in ann.post(url, both, follow=True).content.decode()


def test_paused_queues_say_so_and_are_resumed(ann: Client, bookings: Queue) -> None:
    services.pause_queue("bookings", actor="bob", reason="down")
    url = reverse("admin:queues_queue_changelist")
    assert "by bob" in ann.get(url).content.decode()
    ann.post(url, {"action": "resume", "_selected_action": [bookings_id()]})
    assert Q.objects.get(name="bookings").paused_at is None
    assert AuditEntry.objects.get(action="resume queue").actor == "ann"


def test_nobody_but_a_superuser_alters_a_queue(client: Client, bookings: Queue) -> None:
    staff = User.objects.create_user("bob", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="queues"))
    client.force_login(staff)
    url = reverse("admin:queues_queue_change", args=[bookings_id()])
    assert b'name="_save"' not in client.get(url).content
    assert client.post(url, changed(lease_seconds="45")).status_code == 403
    assert client.post(reverse("admin:queues_queue_delete", args=[bookings_id()])).status_code == 403


def test_redrives_and_outcomes_are_listed(ann: Client, bookings: Queue, receive: Receive) -> None:
    services.alter_queue("bookings", outcome_seconds=60, actor="ann")
    acked, dead = sent_ids(bookings, [NewMessage(1), NewMessage(2)])
    lease = receive(holder="till-1")
    services.ack(lease.token, [acked], queue=bookings)
    services.reject(lease.token, [dead], queue=bookings)
    job = services.start_redrive(bookings, actor="bob")
    url = reverse("admin:queues_redrive_changelist")
    page = ann.get(url).content.decode()
    assert "Running" in page
    assert "bob" in page
    answer = ann.post(url, {"action": "cancel", "_selected_action": [job]})
    assert answer["Location"] == f"/queues/bookings/redrives/{job}/cancel/"
    page = ann.get(reverse("admin:queues_outcome_changelist"), {"q": str(acked)}).content.decode()
    assert "till-1" in page
    assert "1 outcome" in page


# Who may


def test_who_may_only_look_is_offered_no_redrive(client: Client, bookings: Queue, receive: Receive) -> None:
    (id_,) = sent_ids(bookings, [NewMessage(1)])
    services.reject(receive().token, [id_], queue=bookings)
    viewer = User.objects.create_user("bob", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_message", content_type__app_label="queues"))
    client.force_login(viewer)
    url = reverse("admin:queues_message_changelist")
    assert b"Redrive" not in client.get(url).content
    client.post(url, {"action": "redrive", "_selected_action": [id_]})
    assert Message.objects.get().state == Message.State.DEAD


def test_leases_are_listed_with_their_holder(ann: Client, bookings: Queue, receive: Receive) -> None:
    services.send(bookings, 1)
    receive(holder="host:1:0a1b2c3d")
    assert "host:1:0a1b2c3d" in ann.get(reverse("admin:queues_lease_changelist")).content.decode()


def bookings_id() -> int:
    from queues.selectors import locate_queue

    return locate_queue("bookings").queue_id


def test_schedules_are_listed_paused_and_resumed_with_a_reason(ann: Client, bookings: Queue) -> None:
    declared = Periodic("nightly", bookings, "0 3 * * *", missed="catch_up", timezone="Europe/Berlin")
    services.send_ticks()
    url = reverse("admin:queues_periodiccommand_changelist")
    page = ann.get(url).content.decode()
    for said in ("0 3 * * *", "Europe/Berlin", "catch_up", "none yet", "no worker alive: nobody sends it"):
        assert said in page
    WorkerProcess.objects.create(name="here", handles=[f"periodic:nightly@{declared.revision}"])
    ((told,), following) = listings.list_periodic()
    assert (told["name"], told["declared_by"], told["last_tick"]) == ("nightly", ["here"], None)
    assert (told["next_tick"] is not None, following) == (True, None)
    assert listings.list_periodic(after="nightly") == ([], None)
    chosen = {"_selected_action": ["nightly"], "reason": "year end"}
    page = ann.post(url, {"action": "pause", **chosen}, follow=True).content.decode()
    assert "Paused: nightly." in page
    assert "by ann: year end" in page
    assert "1 process" in page
    assert listings.read_periodic("nightly")["paused"]["reason"] == "year end"
    ann.post(url, {"action": "resume", **chosen})
    audited = list(AuditEntry.objects.order_by("id").values_list("action", "actor", "reason"))
    assert audited == [("pause periodic", "ann", "year end"), ("resume periodic", "ann", "year end")]
    assert ann.post(reverse("admin:queues_periodiccommand_delete", args=["nightly"])).status_code == 403
    with pytest.raises(Invalid, match="limit is 0; allowed are 1 to 100"):
        listings.list_periodic(limit=0)


def test_who_only_looks_pauses_no_schedule(ann: Client, bookings: Queue) -> None:
    Periodic("nightly", bookings, "0 3 * * *")
    services.send_ticks()
    client = bob("view_periodiccommand")
    page = client.get(reverse("admin:queues_periodiccommand_changelist")).content.decode()
    assert "nightly" in page
    assert 'value="pause"' not in page
