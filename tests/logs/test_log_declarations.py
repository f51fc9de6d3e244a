"""What is declared in code comes into being with migrate; a difference is shown and never applied."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import Error
from django.core.management import call_command

from logs import selectors, services
from logs.declarations import Group, Topic, groups, topics
from logs.errors import PublisherNotOwner
from logs.handlers import Reads, subscribe, subscriptions
from logs.models import ConsumerGroup, GroupPartition
from logs.models import Topic as TopicRow
from mqsite.checks import check_clashes
from mqsite.errors import Invalid
from mqsite.registry import Registry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Takes back what a test declares."""
    registries: list[Registry[Any, Any]] = [topics, groups, subscriptions]
    kept = [dict(registry._entries) for registry in registries]
    yield
    for registry, entries in zip(registries, kept, strict=True):
        registry._entries = entries
        registry.clashes.clear()


def migrate() -> None:
    call_command("migrate", verbosity=1)


def test_migrate_creates_what_is_declared_and_subscribes_its_groups() -> None:
    topic = Topic("orders", owner="shop", partitions=3, description="What was ordered")
    subscribe(Group("billing", owner="billing"), topic)(print)
    migrate()
    described = selectors.describe_topic("orders")
    assert (described["owner"], described["partition_count"], described["groups"]) == ("shop", 3, ["billing"])
    migrate()
    assert GroupPartition.objects.filter(group__name="billing").count() == 3
    assert [d for d in selectors.drift() if "orders" in d or "billing" in d] == []


def test_a_difference_is_shown_and_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    services.create_topic("orders", owner="shop", partitions=3)
    Topic("orders", owner="billing", partitions=5)
    migrate()
    assert "partitions is 5 in code and 3 in the database" in capsys.readouterr().out
    assert [d for d in selectors.drift() if "orders" in d] == [
        "Topic orders: owner is billing in code and shop in the database.",
        "Topic orders: partitions is 5 in code and 3 in the database.",
    ]
    assert TopicRow.objects.get(name="orders").owner.name == "shop"


def test_what_is_missing_is_shown() -> None:
    Topic("orders", owner="shop")
    assert "Topic orders is declared in code and missing in the database. Run migrate." in selectors.drift()


def test_a_handler_of_a_topic_that_does_not_exist_yet_waits_for_it() -> None:
    subscribe(Group("billing", owner="billing"), "orders")(print)
    migrate()
    assert ConsumerGroup.objects.filter(name="billing").exists()
    services.create_topic("orders", owner="shop")
    migrate()
    assert selectors.describe_topic("orders")["groups"] == ["billing"]


def test_the_declaration_is_the_identity() -> None:
    services.create_topic("orders", owner="shop")
    mine = Topic("orders", owner="billing")
    with pytest.raises(PublisherNotOwner, match="Only shop publishes to orders; you act for billing"):
        services.publish(mine, "x")
    topics._entries.clear()
    assert services.publish(Topic("orders", owner="shop"), "x") is not None


def test_two_different_declarations_of_one_name_fail_the_start() -> None:
    group = Group("billing", owner="billing")
    Topic("orders", owner="shop")
    Topic("orders", owner="billing")
    subscribe(group, "orders")(print)
    subscribe(group, "orders")(repr)
    found = [e.msg for e in check_clashes() if isinstance(e, Error)]
    assert len(found) == 2
    assert found[0].startswith("Topic orders is declared twice, differently")
    assert subscriptions.get(Reads("billing", "orders"))


@pytest.mark.parametrize("name", ["", "a b", "..", ".", "x" * 250, "é", "a/b", None])
def test_names_follow_kafkas_rule(name: str) -> None:
    with pytest.raises(Invalid, match="use 1 to 249 of"):
        Topic(name, owner="shop")


def test_migrating_to_zero_and_back_works() -> None:
    call_command("migrate", "logs", "zero", verbosity=0)
    call_command("migrate", verbosity=0)
    services.create_topic("orders", owner="shop")
    assert services.publish("orders", "x", boundary="shop") is not None
