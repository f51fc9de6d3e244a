"""Publishing and fetching, in and out of transactions."""

from datetime import datetime, timedelta, timezone

import pytest
from django.db import IntegrityError, transaction

from logs import services
from logs.errors import OffsetOutOfRange, PartitionNotFound, PublisherNotOwner, TopicNotFound
from logs.models import Record, Topic
from logs.services import NewRecord, Published
from mqsite.errors import Invalid, PayloadTooLarge
from tests.concurrency import elsewhere

BEFORE_TIME = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))  # PostgreSQL knows it, Python does not

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def topic() -> str:
    services.create_topic("orders", owner="shop", partitions=4)
    return "orders"


def publish(value: object, **options: object) -> Published | None:
    return services.publish("orders", value, boundary="shop", **options)  # type: ignore[arg-type]


def test_offsets_count_from_zero_per_partition(topic: str) -> None:
    assert [publish(str(n), partition=1) for n in range(3)] == [Published(1, 0), Published(1, 1), Published(1, 2)]
    assert publish("x", partition=2) == Published(2, 0)


def test_a_batch_answers_in_request_order(topic: str) -> None:
    records = [NewRecord(n, partition=p) for n, p in enumerate([2, 0, 2, 1, 0])]
    placed = services.publish_many("orders", records, boundary="shop") or []
    assert [place[:2] for place in placed] == [(2, 0), (0, 0), (2, 1), (1, 0), (0, 1)]
    assert [r.json() for r in services.fetch("orders", 2, 0)] == [0, 2]


def test_reading_gives_back_what_was_published_and_removes_nothing(topic: str) -> None:
    headers = [("trace", "a"), ("trace", "b"), ("ce_type", "Ordered")]
    place = publish(b"\x00\xff", key=b"\xfe", headers=headers, content_type="image/png")
    assert place
    for _ in range(2):
        (record,) = services.fetch("orders", place.partition, 0)
        assert (record.key, record.value, record.content_type) == (b"\xfe", b"\x00\xff", "image/png")
        assert record.headers == headers


def test_null_and_empty_are_different(topic: str) -> None:
    publish(None, partition=0)
    publish(b"", partition=0, key="")
    first, second = services.fetch("orders", 0, 0)
    assert (first.value, first.key, second.value, second.key) == (None, None, b"", b"")


def test_fetch_stops_at_max_records_and_max_bytes_but_gives_at_least_one(topic: str) -> None:
    services.publish_many("orders", [NewRecord(b"x" * 100, partition=0)] * 5, boundary="shop")
    assert len(services.fetch("orders", 0, 0, max_records=3)) == 3
    assert len(services.fetch("orders", 0, 0, max_bytes=250)) == 2
    assert len(services.fetch("orders", 0, 0, max_bytes=1)) == 1
    assert services.fetch("orders", 0, 5) == []


def test_key_and_headers_count_towards_max_bytes(topic: str) -> None:
    header = '[["a","b"]]'
    records = [NewRecord(b"x" * 50, key="k" * 39, headers=[("a", "b")], partition=0)] * 4  # 100 bytes each
    services.publish_many("orders", records, boundary="shop")
    assert 50 + 39 + len(header) == 100
    assert [len(services.fetch("orders", 0, 0, max_bytes=most)) for most in (1, 199, 200, 299, 300)] == [1, 1, 2, 2, 3]


def test_outside_the_log_the_refusal_names_both_ends(topic: str) -> None:
    publish("x", partition=0)
    with pytest.raises(OffsetOutOfRange, match="from 0 up to 1"):
        services.fetch("orders", 0, 2)


@pytest.mark.parametrize("offset", [-1, -(2**70), 2**63 - 1, 2**63, 2**70])
def test_an_offset_that_no_log_could_have_is_refused_alike(topic: str, offset: int) -> None:
    publish("x", partition=0)
    for _ in range(2):
        with pytest.raises(OffsetOutOfRange, match=f"Offset {offset} of orders-0 is out of range.* from 0 up to 1"):
            services.fetch("orders", 0, offset)
        services.fetch("orders", 0, 0)  # from now on the process knows the segment


def test_nothing_below_the_log_start_is_given_out(topic: str) -> None:
    services.publish_many("orders", [NewRecord(b"x", partition=0)] * 5, boundary="shop")
    Topic.objects.get(name="orders").partitions.filter(number=0).update(log_start=3)
    with pytest.raises(OffsetOutOfRange, match="from 3 up to 5"):
        services.fetch("orders", 0, 0)
    assert [r.offset for r in services.fetch("orders", 0, 3)] == [3, 4]


def test_inside_a_transaction_records_have_no_offset_until_it_commits(topic: str) -> None:
    with transaction.atomic():
        assert publish("inside", partition=0) is None
        assert services.fetch("orders", 0, 0) == []
    assert [r.text for r in services.fetch("orders", 0, 0)] == ["inside"]


def test_a_rollback_takes_its_records_along_and_leaves_no_gap(topic: str) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        publish("never", partition=0)
        raise ZeroDivisionError
    assert publish("next", partition=0) == Published(0, 0)


def test_a_savepoint_takes_only_its_own(topic: str) -> None:
    with transaction.atomic():
        publish("a", partition=0)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            publish("undone", partition=0)
            raise ZeroDivisionError
        publish("b", partition=0)
        publish("c", partition=3)
    assert [r.text for r in services.fetch("orders", 0, 0)] == ["a", "b"]
    assert [r.text for r in services.fetch("orders", 3, 0)] == ["c"]


def test_several_batches_of_one_transaction_keep_their_order(topic: str) -> None:
    with transaction.atomic():
        for start in range(0, 30, 10):
            records = [
                NewRecord(n, partition=n % 2, key=str(n), headers=[("n", str(n))]) for n in range(start, start + 10)
            ]
            services.publish_many("orders", records, boundary="shop")
    for partition in (0, 1):
        fetched = services.fetch("orders", partition, 0)
        assert [r.json() for r in fetched] == list(range(partition, 30, 2))
        assert all(r.key_text == r.text and r.headers == [("n", r.text)] for r in fetched)


def test_a_topic_deleted_before_the_commit_undoes_the_whole_transaction(topic: str) -> None:
    services.create_topic("kept", owner="shop")
    with pytest.raises(IntegrityError, match="was deleted before this transaction committed"), transaction.atomic():
        publish("lost", partition=0)
        services.publish("kept", "lost too", boundary="shop")
        elsewhere(lambda: services.delete_topic("orders", actor="test"))
    assert services.fetch("kept", 0, 0) == []
    with pytest.raises(TopicNotFound):
        publish("x")


def test_a_batch_has_a_limit_in_bytes(topic: str) -> None:
    services.alter_topic("orders", configs={"max.message.bytes": 50 * 1024 * 1024}, actor="ann")
    with pytest.raises(PayloadTooLarge, match=r"The batch has .* one publish takes at most 104,857,600"):
        services.publish_many("orders", [NewRecord(b"x" * 50 * 1024 * 1024)] * 3, boundary="shop")
    assert Record.objects.count() == 0


def test_only_the_owner_publishes(topic: str) -> None:
    with pytest.raises(PublisherNotOwner, match="Only shop publishes to orders; you act for billing"):
        services.publish("orders", "x", boundary="billing")
    assert Record.objects.count() == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"value": "x", "partition": 4}, PartitionNotFound, "it has 0 to 3"),
        ({"value": "x", "partition": -1}, PartitionNotFound, "it has 0 to 3"),
        ({"value": b"x" * 1_048_589}, PayloadTooLarge, "takes at most 1,048,588"),
        ({"value": float("nan")}, Invalid, "JSON"),
        ({"value": object()}, Invalid, "JSON"),
        ({"value": "x", "key": 7}, Invalid, "A key is text, bytes or None"),
        ({"value": "x", "headers": [("a",)]}, Invalid, "pairs of name and value"),
        ({"value": "x", "content_type": "a\0"}, Invalid, "Record 1: a content type is text of at most 255"),
        ({"value": "x", "content_type": "half \ud800"}, Invalid, "a content type is text"),
        ({"value": "x", "content_type": "x" * 256}, Invalid, "a content type is text"),
        ({"value": "x", "content_type": 7}, Invalid, "a content type is text"),
        ({"value": "x", "timestamp": BEFORE_TIME}, Invalid, "before the year 1"),
    ],
)
def test_bad_input_is_refused_by_name_and_nothing_is_stored(
    topic: str, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        services.publish_many("orders", [NewRecord("fine"), NewRecord(**options)], boundary="shop")  # type: ignore[arg-type]
    assert Record.objects.count() == 0
