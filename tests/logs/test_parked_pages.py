"""Pages of parked records: anybody looks, an operator tries again or drops what he was shown, with a reason."""

import html
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from logs import selectors, services
from logs.live import GroupSocket
from logs.models import ParkedRecord
from logs.selectors import parked as parked_selectors
from mqsite.models import AuditEntry, WorkerProcess
from tests.logs.parking import SCRIPT, create_billing, park

pytestmark = pytest.mark.django_db

PAGE = "/groups/billing/parked/"
ADMIN = "admin:logs_parkedrecord_changelist"


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    create_billing()
    return client


def opened(client: Client, address: str = PAGE, **asked: Any) -> str:
    answer = client.get(f"{address}?{urlencode(asked, doseq=True)}")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert SCRIPT not in page
    return html.unescape(page)


def sent(client: Client, address: str, **fields: Any) -> str:
    return html.unescape(client.post(address, fields, follow=True).content.decode())


def audited(action: str) -> tuple[str, str, str, Any]:
    entry = AuditEntry.objects.get(action=action)
    return entry.actor, entry.subject, entry.reason, entry.facts


def test_a_group_says_in_words_that_it_has_parked_something(ann: Client) -> None:
    page = opened(ann, "/groups/billing/")
    assert "parked</h1>" not in page
    assert "Nothing is parked." in page
    ids = park(7)
    page = opened(ann, "/groups/billing/")
    assert "billing has read everything to the end, 7 records parked</h1>" in page
    assert "The newest 5 of 7." in page
    assert [f"orders-0@{n}<" in page for n in range(7)] == [False] * 2 + [True] * 5
    assert f'href="{PAGE}#p{ids[6]}"' in page
    assert "app.Refused: no credit" in page
    page = opened(ann, "/groups/")
    assert "caught up, 7 records parked" in page
    assert "#i-warn" in page[page.index("7 records parked") - 200 :]


def test_the_socket_of_a_group_sends_what_it_has_parked(ann: Client) -> None:
    park(2)
    socket = GroupSocket()
    socket.name = "billing"
    sections = socket.draw()
    assert sections["group:billing"]["heading"].endswith(", 2 records parked")
    assert [row["cells"][1] for row in sections["parked:billing"]["rows"]] == ["orders-0@1", "orders-0@0"]


def test_a_parked_record_is_shown_with_all_that_is_known_of_it(ann: Client) -> None:
    (id_,) = park(value=b"x" * 5_000)
    park(value=None)
    services.retry_parked("billing", [id_], actor="bob")
    page = opened(ann)
    assert "billing has 2 records parked</h1>" in page
    assert f'<tr id="p{id_}">' in page
    assert f'<td class="mono place">orders-0@0</td><td class="mono key" data-l="key">k0 {SCRIPT}</td>' in page
    assert "it failed each time" in page
    assert f"app.Refused: no credit {SCRIPT}</pre>" in page
    assert f"<dt>h</dt><dd>{SCRIPT}</dd>" in page
    assert "The first 2.0 kB of 5.0 kB." in page
    assert ("x" * 2_000 in page, "x" * 2_001 in page) == (True, False)
    assert "no value" in page
    assert "will be tried again, asked by bob" in page
    assert '<td class="r" data-l="attempts">3</td>' in page


def test_what_is_not_text_is_shown_in_hex(ann: Client) -> None:
    park(value=b"\xff\x00\x01")
    assert "ff 00 01" in opened(ann)


def test_pages_follow_one_another_and_can_be_of_one_topic(ann: Client) -> None:
    park(26)
    park(1, topic="refunds")
    page = opened(ann)
    assert ("refunds-0@26" in page, "orders-0@2<" in page, "orders-0@1<" in page) == (True, True, False)
    before = ParkedRecord.objects.get(offset=2).id
    assert f'href="?before={before}" rel="next"' in page
    page = opened(ann, before=before)
    assert ("orders-0@2<" in page, "orders-0@1<" in page, "orders-0@0<" in page) == (False, True, True)
    assert ('rel="next"' in page, "The latest</a>" in page) == (False, True)
    page = opened(ann, topic="refunds")
    assert ("refunds-0@26" in page, "orders-0@" in page, "All topics" in page) == (True, False, True)
    assert "No parked record of nothing" in opened(ann, topic="nothing")
    assert "No parked record of nothing" in opened(ann, topic="noth\0ing")
    assert "Nothing is parked" not in opened(ann, before="x")
    assert "No older parked record" in opened(ann, before="1")


def test_chosen_records_are_tried_again(ann: Client) -> None:
    first, second, _ = park(3)
    services.retry_parked("billing", [first], actor="bob")
    address = f"{PAGE}retry/?chosen=1&id={first}&id={second}&id=999999"
    page = opened(ann, f"{PAGE}retry/", chosen=1, id=[first, second, 999999])
    assert "Try 2 parked records of billing again?" in page
    assert "1 of them is asked for already." in page
    assert "No worker process alive has a handler of billing: they wait until one starts." in page
    assert "Say why." in sent(ann, address, reason=" ")
    assert ParkedRecord.objects.filter(retry_asked_at=None).count() == 2
    page = sent(ann, address, reason="credit was given")
    assert "1 record of billing will be tried again." in page
    assert ParkedRecord.objects.get(retry_asked_at=None).offset == 2
    entry = AuditEntry.objects.filter(action="retry parked").latest("id")
    assert (entry.actor, entry.reason, entry.facts["records"]) == ("ann", "credit was given", 1)


def test_all_are_tried_again_only_where_nobody_chose(ann: Client) -> None:
    assert "billing has nothing parked: there is nothing to try again." in opened(ann, f"{PAGE}retry/")
    park(3)
    assert "choose parked records of billing first" in opened(ann, f"{PAGE}retry/", chosen=1)
    sent(ann, f"{PAGE}retry/?chosen=1", reason="none is ticked")
    assert selectors.count_asked("billing") == 0
    WorkerProcess.objects.create(name="w:1:00000000", handles=["logs:billing:orders"])
    services.pause_group("billing", actor="ann")
    page = opened(ann, f"{PAGE}retry/")
    assert "Try all 3 parked records of billing again?" in page
    assert "billing is paused: they wait until somebody resumes it." in page
    assert "No worker process" not in page
    assert "3 records of billing will be tried again." in sent(ann, f"{PAGE}retry/", reason="fixed")
    assert audited("retry parked") == ("ann", "billing", "fixed", {"records": 3, "ids": None})


def test_chosen_records_are_dropped_and_no_others(ann: Client) -> None:
    ids = park(3)
    page = opened(ann, f"{PAGE}drop/", id=ids[:2])
    assert "Drop 2 parked records of billing? They are gone for good, and billing never handles them." in page
    assert ">Drop 2 records</button>" in page
    address = f"{PAGE}drop/?id={ids[0]}&id={ids[1]}"
    assert "Say why." in sent(ann, address)
    page = sent(ann, address, reason="test orders")
    assert "2 parked records of billing dropped." in page
    assert list(ParkedRecord.objects.values_list("id", flat=True)) == ids[2:]
    assert audited("drop parked") == ("ann", "billing", "test orders", {"records": 2, "ids": [ids[1], ids[0]]})
    assert "choose parked records of billing first" in opened(ann, f"{PAGE}drop/", id=ids[:2])
    assert "choose parked records" in opened(ann, f"{PAGE}drop/")
    sent(ann, f"{PAGE}drop/", reason="without any")
    assert ParkedRecord.objects.count() == 1


def test_records_of_another_group_are_never_meant(ann: Client) -> None:
    (id_,) = park()
    services.create_group("other", owner="billing")
    for verb in ("retry", "drop"):
        sent(ann, f"/groups/other/parked/{verb}/?chosen=1&id={id_}", reason="x")
    assert ParkedRecord.objects.get().retry_asked_at is None


def test_only_operators_try_again_and_drop(ann: Client) -> None:
    (id_,) = park()
    eve = Client()
    eve.force_login(User.objects.create_user("eve", is_staff=True))
    page = opened(eve)
    assert ("orders-0@0" in page, "Retry chosen" in page, "Drop chosen" in page) == (True, False, False)
    for verb in ("retry", "drop"):
        assert eve.get(f"{PAGE}{verb}/?id={id_}").status_code == 403
        assert eve.post(f"{PAGE}{verb}/?id={id_}", {"reason": "x"}).status_code == 403
        assert Client().get(f"{PAGE}{verb}/")["Location"].startswith("/login/")
    assert ParkedRecord.objects.get().retry_asked_at is None
    assert Client().get(PAGE)["Location"].startswith("/login/")
    assert ann.get("/groups/nobody/parked/").status_code == 404
    assert ann.get("/groups/nobody/parked/retry/").status_code == 404


def test_a_page_of_large_records_is_shorter(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked_selectors, "MAX_PAGE_BYTES", 250)
    first, second, third = park(3, value=b"x" * 100)
    for after, limit, ids, mark in ((0, 9, [first], first), (second, 9, [third], None), (0, 1, [first], first)):
        page = selectors.page_parked("billing", after=after, limit=limit)
        assert ([record["id"] for record in page.records], page.mark) == (ids, mark)


# The admin


def test_the_admin_lists_them_and_leads_to_the_pages(ann: Client) -> None:
    ids = park(2)
    page = ann.get(reverse(ADMIN)).content.decode()
    assert "orders-0@1" in page
    assert "app.Refused: no credit" in page
    assert SCRIPT not in page
    for verb in ("retry", "drop"):
        answer = ann.post(reverse(ADMIN), {"action": verb, "_selected_action": ids})
        assert answer["Location"] == f"{PAGE}{verb}/?chosen=1&id={ids[1]}&id={ids[0]}"
    assert ann.get(reverse("admin:logs_parkedrecord_add")).status_code == 403


def test_in_the_admin_who_may_only_look_has_no_verbs(ann: Client) -> None:
    (id_,) = park()
    eve = User.objects.create_user("eve", is_staff=True)
    eve.user_permissions.set(Permission.objects.filter(codename="view_parkedrecord"))
    client = Client()
    client.force_login(eve)
    assert "orders-0@0" in client.get(reverse(ADMIN)).content.decode()
    client.post(reverse(ADMIN), {"action": "drop", "_selected_action": [id_]})
    assert client.get(reverse(ADMIN)).content.decode().count('value="drop"') == 0
    assert ParkedRecord.objects.count() == 1
