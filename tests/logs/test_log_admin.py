"""The admin shows offsets with their lag, and opens every list."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from logs import services
from logs.services import NewRecord
from mqsite.models import ApiKey, Boundary

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


@pytest.mark.parametrize("order", ["", "?o=4", "?o=5", "?o=-6", "?group__id__exact=1", "?q=bill"])
def test_offsets_are_listed_with_their_lag(ann: Client, order: str) -> None:
    page = ann.get(reverse("admin:logs_grouppartition_changelist") + order)
    assert page.status_code == 200
    if "group__id" not in order:
        assert page.content.decode().count('<td class="field-lag">3</td>') == 2


@pytest.mark.parametrize(
    "name",
    [
        "logs_topic",
        "logs_consumergroup",
        "logs_grouppartition",
        "logs_member",
        "logs_reset",
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
