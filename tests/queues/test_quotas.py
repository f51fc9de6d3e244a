"""A boundary sends no more than its quota says; the refusal has the numbers."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from mqsite.errors import Invalid
from mqsite.models import AuditEntry
from queues import services
from queues.declarations import Queue
from queues.errors import QuotaExceeded
from queues.models import Message, Quota
from queues.services import NewMessage, quotas
from tests.concurrency import all_at_once, elsewhere
from tests.queues.conftest import Receive
from tests.rest import client_of, get, post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unknown() -> None:
    quotas._free.clear()


def limit(**limits: Any) -> None:
    services.set_quota("web", actor="ann", **limits)


def send(count: int = 1, *, payload: bytes = b"x", sender: str = "web") -> None:
    services.send_many("bookings", [NewMessage(payload)] * count, sender=sender)


def count_again() -> None:
    Quota.objects.update(counted_at=Now() - timedelta(hours=1))


def test_no_more_messages_than_the_quota_stand(bookings: Queue, receive: Receive) -> None:
    limit(max_messages=3)
    send(2)
    with pytest.raises(QuotaExceeded, match="web has 2 messages standing and may have 3; 2 more were to be"):
        send(2)
    send(1)
    send(100, sender="others")
    send(100, sender="")
    with pytest.raises(QuotaExceeded):
        send(1)
    lease = receive(2)
    services.ack(lease.token, [m.id for m in lease.messages], queue=bookings)
    count_again()
    send(2)
    assert Message.objects.filter(sender="web").count() == 3


def test_dead_letters_do_not_count(bookings: Queue, receive: Receive) -> None:
    limit(max_messages=1)
    send(1)
    services.reject((lease := receive(1)).token, [m.id for m in lease.messages], queue=bookings)
    count_again()
    send(1)


def test_bytes_count_too(bookings: Queue) -> None:
    limit(max_bytes=10)
    send(2, payload=b"xxxx")
    with pytest.raises(QuotaExceeded, match="web has 8 bytes standing and may have 10"):
        send(1, payload=b"xxx")
    send(1, payload=b"xx")


def test_so_many_a_second(bookings: Queue) -> None:
    limit(max_per_second=5)
    send(5)
    with pytest.raises(QuotaExceeded, match="web may send 5 messages a second, and 0 at this moment; 3 more"):
        send(3)
    Quota.objects.update(tokens_at=Now() - timedelta(seconds=0.7))
    send(3)
    Quota.objects.update(tokens_at=Now() - timedelta(hours=1))
    with pytest.raises(QuotaExceeded, match="5 at this moment"):
        send(6)


def test_senders_at_the_same_moment_share_one_quota(bookings: Queue) -> None:
    limit(max_messages=7)

    def try_to_send() -> int:
        try:
            send(2)
        except QuotaExceeded:
            return 0
        return 2

    assert sum(all_at_once([try_to_send] * 6)) == 6
    assert Message.objects.count() == 6


def test_what_a_failed_transaction_sent_is_free_with_the_next_count(bookings: Queue) -> None:
    limit(max_messages=2)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        send(2)
        assert elsewhere(lambda: Quota.objects.get().used_messages) == 2, "others need not wait for its end"
        raise ZeroDivisionError
    with pytest.raises(QuotaExceeded):
        send(1)
    count_again()
    send(2)


def test_counting_takes_no_more_than_a_twentieth_of_the_time(bookings: Queue) -> None:
    limit(max_messages=5)
    send(1)
    Message.objects.all().delete()
    Quota.objects.update(counted_at=Now() - timedelta(seconds=2), counting_seconds=0.5)
    send(1)
    assert Quota.objects.get().used_messages == 2
    Quota.objects.update(counted_at=Now() - timedelta(seconds=11))
    send(1)
    assert Quota.objects.get().used_messages == 2


def test_a_quota_is_set_altered_and_lifted_and_the_audit_says_so(bookings: Queue) -> None:
    send(1)
    limit(max_messages=1, reason="too eager")
    with pytest.raises(QuotaExceeded):
        send(1)
    limit(max_messages=5)
    send(1)
    limit()
    send(100)
    assert not Quota.objects.exists()
    entries = AuditEntry.objects.filter(action="set quota", subject="web").order_by("id")
    assert [e.facts["max_messages"] for e in entries] == [1, 5, None]
    assert entries[0].reason == "too eager"


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_messages", 0), ("max_bytes", -1), ("max_messages", 1.5), ("max_per_second", "5"), ("max_bytes", True)],
)
def test_bad_limits_are_refused(name: str, value: object) -> None:
    with pytest.raises(Invalid, match=re.escape(f"{name} is {value!r}; allowed are numbers above 0")):
        limit(**{name: value})


def test_a_sender_sees_its_quota_over_rest(bookings: Queue) -> None:
    web = client_of("web")
    assert get(web, "/api/quota/").data == {"quota": None}
    limit(max_messages=1)
    assert post(web, "queues/bookings/messages/", {"payload": "x"}).status_code == 201
    refused = post(web, "queues/bookings/messages/", {"payload": "x"})
    assert (refused.status_code, refused.data["code"]) == (409, "quota_exceeded")
    quota = get(web, "/api/quota/").data["quota"]
    assert (quota["max_messages"], quota["used_messages"], quota["max_bytes"]) == (1, 1, None)


def test_a_superuser_sets_quotas_in_the_admin(client: Client, bookings: Queue) -> None:
    client.force_login(User.objects.create_superuser("ann"))
    send(1)
    limit(max_messages=9)
    row = Quota.objects.get()
    change = reverse("admin:queues_quota_change", args=[row.pk])
    assert "above 0" in client.post(change, {"max_messages": "-1"}).content.decode()
    client.post(change, {"max_messages": "2", "max_per_second": "1.5", "reason": "season"})
    row.refresh_from_db()
    assert (row.max_messages, row.max_bytes, row.max_per_second) == (2, None, 1.5)
    assert AuditEntry.objects.filter(action="set quota", actor="ann", reason="season").exists()
    client.post(reverse("admin:queues_quota_delete", args=[row.pk]), {"post": "yes"})
    assert not Quota.objects.exists()
    client.post(reverse("admin:queues_quota_add"), {"boundary": row.boundary_id, "max_bytes": "7"})
    assert Quota.objects.get().max_bytes == 7
