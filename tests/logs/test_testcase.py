"""Inside Django's TestCase nothing ever commits: what was published can be seen all the same."""

from collections.abc import Callable

import pytest
from django.test import TestCase

from logs import services

pytest_plugins = ["mqsite.testing"]


class PublishingTestCase(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        services.create_topic("orders", owner="shop")

    def test_published_records_are_visible_once_assigned(self) -> None:
        services.publish("orders", "a", boundary="shop")
        assert services.fetch("orders", 0, 0) == []
        services.assign_published()
        services.publish("orders", "b", boundary="shop")
        services.publish("orders", "c", boundary="shop")
        services.assign_published()
        assert [r.text for r in services.fetch("orders", 0, 0)] == ["a", "b", "c"]

    def test_the_next_test_starts_empty(self) -> None:
        assert services.fetch("orders", 0, 0) == []


@pytest.mark.django_db
def test_the_fixture_does_the_same(assign_published: Callable[[], None]) -> None:
    services.create_topic("orders", owner="shop")
    services.publish("orders", "a", boundary="shop")
    assign_published()
    assert [r.text for r in services.fetch("orders", 0, 0)] == ["a"]
