"""A group before an operator, and what its pages say."""

import html
import re
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.test import Client

from logs import selectors, services
from logs.services import NewRecord

SCRIPT = "<script>alert(1)</script>"


def become_operator(client: Client) -> Client:
    """Before a group that has read two of its five records on each of two partitions."""
    client.force_login(User.objects.create_superuser("ann"))
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("billing", owner="billing", topics=["orders"])
    services.publish_many("orders", [NewRecord(n, partition=n % 2) for n in range(10)], boundary="shop")
    for partition in (0, 1):
        assignment = services.acquire_partition("billing", "orders", partition, member="a")
        assert assignment
        services.commit_offset(assignment, 2)
        services.release_partition(assignment)
    return client


def opened(client: Client, address: str = "/groups/billing/", **asked: Any) -> str:
    answer = client.get(f"{address}?{urlencode(asked, doseq=True)}" if asked else address)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def preview(client: Client, **asked: Any) -> str:
    return opened(client, "/groups/billing/reset/", **asked)


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, "the page shows no plan"
    return found[1]


def apply(
    client: Client, token: str, reason: str = "a bug", address: str = "/groups/billing/reset/", **asked: Any
) -> str:
    body = {"token": token, "reason": reason}
    answer = client.post(f"{address}?{urlencode(asked, doseq=True)}", body, follow=True)
    return html.unescape(answer.content.decode())


def committed() -> list[int | None]:
    partitions = selectors.describe_group("billing")["topics"][0]["partitions"]
    return [p["groups"][0]["committed"] for p in partitions]


def button(page: str) -> str:
    found = re.search(r'<button class="btn pri"( disabled)?>([^<]+)</button>', page)
    assert found
    return found[2]
