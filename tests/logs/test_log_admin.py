"""The admin shows offsets and resets them for replay."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from logs import selectors, services
from logs.models import GroupPartition
from logs.services import NewRecord
from mqsite.models import ApiKey, AuditEntry, Boundary

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(client: Client) -> Client:
    """An operator before a group that has read two of its five records on each of two partitions."""
    client.force_login(User.objects.create_superuser("ann"))
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(10)], boundary="shop")
    for partition in (0, 1):
        assignment = services.acquire_partition("billing", "orders", partition, member="a")
        assert assignment
        services.commit_offset(assignment, 2)
    return client


def reset(ann: Client, **fields: str) -> str:
    ids = GroupPartition.objects.filter(group__name="billing", partition__number=0).values_list("pk", flat=True)
    body = {"action": "reset_offsets", "_selected_action": [str(i) for i in ids], **fields}
    return ann.post(reverse("admin:logs_grouppartition_changelist"), body, follow=True).content.decode()


def committed() -> list[int | None]:
    partitions = selectors.describe_group("billing")["topics"][0]["partitions"]
    return [p["groups"][0]["committed"] for p in partitions]


@pytest.mark.parametrize("order", ["", "?o=4", "?o=5", "?o=-6", "?group__id__exact=1", "?q=bill"])
def test_offsets_are_listed_with_their_lag(ann: Client, order: str) -> None:
    page = ann.get(reverse("admin:logs_grouppartition_changelist") + order)
    assert page.status_code == 200
    if "group__id" not in order:
        assert page.content.decode().count('<td class="field-lag">3</td>') == 2


def test_a_reset_asks_first_and_moves_nothing(ann: Client) -> None:
    page = reset(ann)
    assert "Reset 1 offset" in page
    assert committed() == [2, 2]


@pytest.mark.parametrize(("to", "offset", "moved"), [("earliest", "", 0), ("latest", "", 5), ("offset", "4", 4)])
def test_a_reset_moves_what_was_selected_and_is_audited(ann: Client, to: str, offset: str, moved: int) -> None:
    page = reset(ann, apply="1", to=to, offset=offset, reason="a bug")
    assert f"Reset: billing goes on from {offset or to} on orders, partitions 0." in page
    assert committed() == [moved, 2]
    entry = AuditEntry.objects.get(action="reset offsets")
    assert (entry.actor, entry.reason) == ("ann", "a bug")


def test_an_incomplete_reset_says_what_is_missing(ann: Client) -> None:
    page = reset(ann, apply="1", to="offset", offset="", reason="")
    assert "Which offset?" in page
    assert "This field is required" in page
    assert committed() == [2, 2]


@pytest.mark.parametrize(
    "name",
    [
        "logs_topic",
        "logs_consumergroup",
        "logs_grouppartition",
        "queues_queue",
        "queues_message",
        "queues_lease",
        "mqsite_boundary",
        "mqsite_apikey",
        "mqsite_auditentry",
        "mqsite_workerprocess",
    ],
)
def test_every_list_opens(ann: Client, name: str) -> None:
    assert ann.get(reverse(f"admin:{name}_changelist")).status_code == 200


def test_a_new_api_key_is_shown_once_and_kept_as_a_hash(ann: Client) -> None:
    boundary = Boundary.objects.get(name="shop")
    body = {"boundary": str(boundary.pk), "name": "web"}
    page = ann.post(reverse("admin:mqsite_apikey_add"), body, follow=True).content.decode()
    key = ApiKey.objects.get()
    token = page.split("shown this once: ")[1].split("<")[0]
    assert token.startswith(f"mq_{key.prefix}_")
    assert token not in ann.get(reverse("admin:mqsite_apikey_change", args=[key.pk])).content.decode()
    answer = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/topics/")
    assert answer.status_code == 200
