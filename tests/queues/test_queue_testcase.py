"""Inside Django's TestCase nothing ever commits: what was sent can be received all the same."""

from collections.abc import Callable

import pytest
from django.test import TestCase

from queues import services
from queues.services import NewMessage

pytest_plugins = ["mqsite.testing"]


def receive(queue: str) -> list[str | None]:
    lease = services.receive(queue, holder="test", boundary="sales")
    return [m.text for m in lease.messages] if lease else []


class SendingTestCase(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        services.create_queue("bookings", owner="sales")
        services.create_queue("trips", owner="sales", is_ordered=True)

    def test_what_waits_for_the_commit_is_there_once_it_is_placed(self) -> None:
        first = services.send("bookings", "a", dedup_id="1")
        services.send("bookings", "b", dedup_id="2")
        services.send_many("trips", [NewMessage(text, group_key="k") for text in "xy"])
        assert (receive("bookings"), receive("trips")) == ([], [])
        services.place_sent()
        assert (receive("bookings"), receive("trips")) == (["a", "b"], ["x"])
        assert services.send("bookings", "a", dedup_id="1") == (first.id, True)
        services.send("bookings", "c", dedup_id="3")
        services.send("bookings", "d", dedup_id="4")
        services.place_sent()
        assert receive("bookings") == ["c", "d"]

    def test_a_key_goes_on_once_its_head_is_acknowledged(self) -> None:
        services.send_many("trips", [NewMessage(text, group_key="k") for text in "xy"])
        services.place_sent()
        lease = services.receive("trips", holder="test", boundary="sales")
        assert lease is not None
        services.ack(lease.token, [lease.messages[0].id], queue="trips")
        services.place_sent()
        assert receive("trips") == ["y"]

    def test_the_next_test_starts_empty(self) -> None:
        assert receive("bookings") == []


@pytest.mark.django_db
def test_the_fixture_does_the_same(place_sent: Callable[[], None]) -> None:
    services.create_queue("bookings", owner="sales")
    services.send("bookings", "a", dedup_id="1")
    place_sent()
    assert receive("bookings") == ["a"]
