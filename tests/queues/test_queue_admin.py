"""The admin looks, and redrives; it edits nothing."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from mqsite.models import AuditEntry
from queues import services
from queues.admin import SHOWN_PAYLOAD_CHARACTERS
from queues.declarations import Queue
from queues.models import Message
from queues.services import NewMessage
from tests.queues.conftest import Receive, sent_id, sent_ids

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def test_queues_are_listed_with_their_counts(ann: Client, bookings: Queue) -> None:
    services.send_many(bookings, [NewMessage(n) for n in range(3)])
    services.send(bookings, 1, delay_seconds=60)
    page = ann.get(reverse("admin:queues_queue_changelist")).content.decode()
    assert '<td class="field-ready">3</td>' in page
    assert '<td class="field-scheduled">1</td>' in page
    queue_page = ann.get(reverse("admin:queues_queue_change", args=[bookings_id()]))
    assert queue_page.status_code == 200
    assert b'name="_save"' not in queue_page.content


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


def test_selected_dead_letters_are_redriven(ann: Client, bookings: Queue, receive: Receive) -> None:
    ids = sent_ids(bookings, [NewMessage(n) for n in range(3)])
    services.reject(receive().token, ids[:2], queue=bookings)
    url = reverse("admin:queues_message_changelist")
    assert b"delete_selected" not in ann.get(url).content
    answer = ann.post(url, {"action": "redrive", "_selected_action": [ids[0], ids[2]]}, follow=True)
    assert "1 of the selected messages are ready again." in answer.content.decode()
    assert Message.objects.get(id=ids[0]).state == Message.State.READY
    assert AuditEntry.objects.get(action="redrive").actor == "ann"


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
