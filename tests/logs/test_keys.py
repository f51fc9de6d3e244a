"""Records are found by their exact key, and a key can be forgotten."""

import pytest
from django.db import connection, transaction

from logs import selectors, services
from logs.errors import KeysNotIndexed, TopicNotFound
from logs.models import Record
from logs.services import NewRecord, upkeep
from mqsite.errors import Invalid
from mqsite.models import AuditEntry
from tests.plans import counting_reads

pytestmark = pytest.mark.django_db(transaction=True)


def compact() -> None:
    while services.compact_topics():
        pass


INDEXED = {"index.keys": True}


@pytest.fixture(autouse=True)
def topic() -> str:
    services.create_topic("orders", owner="shop", partitions=3, configs=INDEXED)
    return "orders"


def publish(count: int = 30, topic: str = "orders") -> None:
    records = [NewRecord(f"v{n}", f"k{n % 5}", [("n", str(n))], partition=n % 3) for n in range(count)]
    services.publish_many(topic, records, boundary="shop")


def found(key: str = "k1", **options: object) -> list[str | None]:
    return [r.text for r in selectors.find_by_key("orders", key, **options).records]  # type: ignore[arg-type]


def test_a_key_is_found_in_all_partitions_the_newest_first() -> None:
    publish()
    assert found() == ["v21", "v6", "v16", "v1", "v26", "v11"]
    answer = selectors.find_by_key("orders", "k1", limit=1)
    assert [r.text for r in answer.records] == ["v21", "v16", "v26"]
    assert (answer.incomplete, set(answer.next_before)) == ({}, {0, 1, 2})
    assert found(before=answer.next_before) == ["v6", "v1", "v11"]
    assert found("nobody") == []


def test_records_of_open_transactions_are_indexed_with_their_commit() -> None:
    with transaction.atomic():
        services.publish("orders", "late", key="k1", boundary="shop")
        assert found() == []
    assert found() == ["late"]


def test_what_retention_passed_is_not_found() -> None:
    publish()
    services.delete_records("orders", {0: -1, 1: -1}, actor="ann")
    assert found() == ["v26", "v11"]


def test_a_topic_without_the_index_says_how_to_get_one() -> None:
    services.create_topic("plain", owner="shop")
    with pytest.raises(KeysNotIndexed, match=r"Alter it with index.keys = true"):
        selectors.find_by_key("plain", "k1")
    with pytest.raises(TopicNotFound):
        selectors.find_by_key("none", "k1")
    with pytest.raises(Invalid, match="allowed are 1 to 1,000"):
        found(limit=0)


def test_an_index_that_is_switched_on_later_says_what_it_does_not_cover_yet() -> None:
    services.alter_topic("orders", configs={"index.keys": False}, actor="ann")
    publish(15)
    services.alter_topic("orders", configs={"index.keys": True}, actor="ann")
    services.publish("orders", "new", key="k1", partition=0, boundary="shop")
    answer = selectors.find_by_key("orders", "k1")
    assert ([r.text for r in answer.records], answer.incomplete) == (["new"], {0: 5, 1: 5, 2: 5})
    compact()
    answer = selectors.find_by_key("orders", "k1")
    assert (len(answer.records), answer.incomplete) == (4, {})


def test_it_is_a_step_into_the_index_however_much_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "SHARED_RECORDS", 1_000)
    for _ in range(3):
        publish(3_000)
        services.run_upkeep()
    services.publish("orders", "the one", key="unique", boundary="shop")
    with counting_reads("logs_record_s%") as reads:
        assert found("unique") == ["the one"]
    assert (reads[0].seq_scans, reads[0].rows < 10) == (0, True)


@pytest.mark.parametrize("indexed", [True, False])
def test_an_erased_key_loses_values_and_headers_and_keeps_its_offsets(
    indexed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SHARED_RECORDS", 10)
    services.alter_topic("orders", configs={"index.keys": indexed}, actor="ann")
    publish()
    services.run_upkeep()
    publish()
    assert services.erase_key("orders", "k1", actor="ann", reason="asked by letter") == 12
    records = list(services.read_records("orders"))
    assert len(records) == 60
    assert {(r.value, r.raw_headers) for r in records if r.key == b"k1"} == {(None, None)}
    assert all(r.value and r.raw_headers for r in records if r.key != b"k1")
    assert services.erase_key("orders", "k1", actor="ann") == 0


def test_who_asked_is_recorded_without_the_key() -> None:
    publish()
    services.erase_key("orders", "k1", actor="ann", reason="asked by letter")
    entry = AuditEntry.objects.get(action="erase key")
    assert (entry.actor, entry.subject, entry.reason, entry.facts["records"]) == ("ann", "orders", "asked by letter", 6)
    assert "k1" not in str(entry.facts)


def test_the_bytes_are_gone_from_the_table() -> None:
    services.publish("orders", "a secret name", key="k1", partition=0, boundary="shop")
    services.erase_key("orders", "k1", actor="ann")
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pageinspect")
        cursor.execute("SELECT get_raw_page('logs_record_s0', 0)")
        (page,) = cursor.fetchone()
    assert b"a secret name" not in bytes(page)
    assert Record.objects.count() == 1


@pytest.mark.parametrize("key", [None, 7])
def test_an_erasure_needs_a_key(key: object) -> None:
    with pytest.raises(Invalid):
        services.erase_key("orders", key, actor="ann")  # type: ignore[arg-type]
