"""A consumer group as a service uses it over REST: the group billing, on four partitions of ten orders."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework.response import Response
from rest_framework.test import APIClient

from logs import services
from logs.services import NewRecord
from tests.rest import post

GROUP = "groups/billing/"
RESET = f"{GROUP}reset-offsets/"
START = datetime(2026, 1, 1, tzinfo=UTC)


def create_orders() -> None:
    """Four partitions of ten records, a minute apart, and the group that reads them."""
    services.create_topic("orders", owner="shop", partitions=4)
    services.create_group("billing", owner="billing", topics=["orders"])
    records = [NewRecord(n, partition=p, timestamp=START + timedelta(minutes=n)) for p in range(4) for n in range(10)]
    services.publish_many("orders", records, boundary="shop")


def join(asking: APIClient, **body: Any) -> dict[str, Any]:
    joined = post(asking, f"{GROUP}members/", body)
    assert joined.status_code == 201, joined.data
    return joined.data


def beat(client: APIClient, member: dict[str, Any]) -> Response:
    return post(client, f"{GROUP}members/{member['member']}/heartbeat/", {"epoch": member["epoch"]})


def fetch(client: APIClient, member: dict[str, Any], **body: Any) -> Response:
    return post(client, f"{GROUP}members/{member['member']}/records/", {"epoch": member["epoch"], **body})


def commit(client: APIClient, *offsets: dict[str, Any]) -> Response:
    return post(client, f"{GROUP}offsets/", {"offsets": list(offsets)})


def leave(client: APIClient, member: dict[str, Any]) -> Response:
    return client.delete(f"/api/{GROUP}members/{member['member']}/", {"epoch": member["epoch"]}, format="json")


def next_offsets(fetched: Response) -> list[dict[str, Any]]:
    """What a fetch gave, as commits (and as positions: they have the same shape)."""
    return [
        {"topic": p["topic"], "partition": p["partition"], "epoch": p["epoch"], "offset": p["next_offset"]}
        for p in fetched.data["partitions"]
    ]


def numbers(places: list[dict[str, Any]]) -> list[int]:
    return [place["partition"] for place in places]


def read_places(fetched: Response) -> list[tuple[int, int]]:
    return sorted((record["partition"], record["offset"]) for record in fetched.data["records"])


def committed(client: APIClient) -> list[int | None]:
    return [place["committed"] for place in client.get(f"/api/{GROUP}offsets/").data["offsets"]]


def take(partition: int = 0) -> dict[str, Any]:
    """A commit of a manual assignment, of offset 0."""
    taken = services.acquire_partition("billing", "orders", partition, member="m")
    assert taken
    return {"topic": "orders", "partition": partition, "offset": 0, "epoch": taken.epoch}


def move_to(*offsets: int) -> None:
    """Commit these offsets of partition 0, 1, ..., and let go."""
    for partition, offset in enumerate(offsets):
        taken = services.acquire_partition("billing", "orders", partition, member="m")
        assert taken
        services.commit_offset(taken, offset)
        services.release_partition(taken)
