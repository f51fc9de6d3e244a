"""What an application declares: created by migrate, never changed by it, differences said."""

import pytest
from django.core.management import call_command

from mqsite.errors import Invalid
from mqsite.sql import has_table
from queues import declarations, selectors, services
from queues.apps import create_declared
from queues.declarations import Queue
from queues.handlers import is_handled

pytestmark = pytest.mark.django_db


def test_migrate_creates_what_is_declared_and_says_so(registries: None, capsys: pytest.CaptureFixture[str]) -> None:
    Queue("refunds", owner="billing", lease_seconds=60, max_receives=2, description="RefundPassenger")
    create_declared(using="default")
    assert capsys.readouterr().out == "  Created queue refunds of billing.\n"
    created = selectors.describe_queue("refunds")
    assert (created["owner"], created["lease_seconds"], created["max_receives"]) == ("billing", 60, 2)
    assert created["description"] == "RefundPassenger"
    assert services.create_declared() == []
    assert selectors.drift() == []


def test_each_difference_between_code_and_database_is_a_sentence(registries: None) -> None:
    services.create_queue("refunds", owner="billing", lease_seconds=60)
    Queue("refunds", owner="sales", max_receives=7)
    Queue("upgrades", owner="sales")
    assert selectors.drift() == [
        "Queue refunds: owner is sales in code and billing in the database.",
        "Queue refunds: lease_seconds is 30 in code and 60 in the database.",
        "Queue refunds: max_receives is 7 in code and 5 in the database.",
        "Queue upgrades is declared in code and missing in the database. Run migrate.",
    ]


def test_a_declaration_no_queue_can_have_is_refused(registries: None) -> None:
    with pytest.raises(Invalid, match="cannot name a queue"):
        Queue("a/b", owner="sales")
    with pytest.raises(Invalid, match="cannot name a boundary"):
        Queue("refunds", owner="")
    with pytest.raises(Invalid, match="Queue refunds: max_receives is 1001; allowed are 1 to 1,000"):
        Queue("refunds", owner="sales", max_receives=1_001)
    assert list(declarations.queues) == []


def test_a_second_different_declaration_is_a_clash(registries: None) -> None:
    Queue("refunds", owner="billing")
    Queue("refunds", owner="billing")
    assert declarations.queues.clashes == []
    Queue("refunds", owner="sales")
    assert declarations.queues.clashes[0].startswith("Queue refunds is declared twice, differently")
    assert not is_handled("refunds")


@pytest.mark.django_db(transaction=True)
def test_the_migration_can_be_reversed_and_applied_again(registries: None) -> None:
    call_command("migrate", "queues", "zero", verbosity=0)
    try:
        assert not has_table("default", "queues_message")
    finally:
        call_command("migrate", verbosity=0)
    services.create_queue("refunds", owner="billing")
    services.send("refunds", 1)
    assert services.receive("refunds", holder="a", boundary="billing")
