"""A topic grows under its publishers and groups, and nobody misses a record or misplaces one."""

import pytest
from django.db import connection, transaction

from logs import metadata, selectors, services, store
from logs.errors import PartitionsCannotShrink
from logs.models import GroupPartition, Partition
from logs.partitioner import partition_for_key
from logs.services import NewRecord, Published
from tests.concurrency import held_open, in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

KEY = next(key for key in "abcdefgh" if partition_for_key(key.encode(), 4) >= 2)  # moves once there are four


@pytest.fixture(autouse=True)
def topic() -> str:
    services.create_topic("orders", owner="shop", partitions=2)
    services.create_group("old", owner="billing", topics=["orders"])
    services.create_group("new", owner="billing", topics=["orders"], auto_offset_reset="latest")
    return "orders"


def publish(value: str, **options: int | str | None) -> Published | None:
    return services.publish("orders", value, boundary="shop", **options)  # type: ignore[arg-type]


def grow(total: int = 4) -> str:
    return services.add_partitions("orders", total, actor="test")


def position(group: str, partition: int) -> int:
    assignment = services.acquire_partition(group, "orders", partition, member="a")
    assert assignment
    services.release_partition(assignment)
    return assignment.position


@pytest.mark.parametrize("group", ["old", "new"])
def test_every_group_starts_at_the_first_record_of_a_new_partition(group: str) -> None:
    publish("before", partition=0)
    grow()
    publish("after", partition=3)
    services.delete_records("orders", {3: 1}, actor="test")
    assert [position(group, p) for p in (2, 3)] == [0, 1]
    (missed,) = selectors.find_resets(group)
    assert missed["partitions"] == [{"topic": "orders", "partition": 3, "from": 0, "to": 1}], "what it never read"
    assert position("new", 0) == 0


def test_groups_and_partitions_come_with_one_commit() -> None:
    with held_open(grow) as commit:
        assert len(selectors.bounds("orders")) == 2
        assert GroupPartition.objects.filter(group__name="new").count() == 2
        commit()
    assert len(selectors.bounds("orders")) == 4
    assert GroupPartition.objects.filter(group__name="new").count() == 4


@pytest.mark.parametrize("auto_offset_reset", ["earliest", "latest"])
def test_a_subscription_during_the_growth_misses_no_partition(auto_offset_reset: str) -> None:
    services.create_group("late", owner="billing", auto_offset_reset=auto_offset_reset)
    with held_open(grow) as commit:
        subscribing = in_thread(lambda: services.subscribe_group("late", "orders"))
        wait_until(someone_waits, message="the subscription to wait")
        commit()
        subscribing.result(timeout=10)
    assert partitions_of("late") == [0, 1, 2, 3]


def test_a_growth_during_a_subscription_misses_no_group() -> None:
    services.create_group("late", owner="billing", auto_offset_reset="latest")
    with held_open(lambda: services.subscribe_group("late", "orders")) as commit:
        growing = in_thread(grow)
        wait_until(someone_waits, message="the growth to wait")
        commit()
        growing.result(timeout=10)
    assert partitions_of("late") == [0, 1, 2, 3]
    publish("x", partition=3)
    assert position("late", 3) == 0


def partitions_of(group: str) -> list[int]:
    rows = GroupPartition.objects.filter(group__name=group).order_by("partition__number")
    return list(rows.values_list("partition__number", flat=True))


def someone_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_a_publisher_that_remembers_the_old_count_is_made_to_look_again() -> None:
    """In this process; the thread that grows the topic stands for another process."""
    before, after = (partition_for_key(KEY.encode(), count) for count in (2, 4))
    assert before != after
    assert publish("x", key=KEY) == Published(before, 0)
    remembered = metadata._topics["default", "orders"]
    grow()
    metadata._topics["default", "orders"] = remembered
    assert publish("y", key=KEY) == Published(after, 0)
    metadata._topics["default", "orders"] = remembered
    with transaction.atomic():
        publish("z", key=KEY)
    assert [r.text for r in services.fetch("orders", after, 0)] == ["y", "z"]
    metadata._topics["default", "orders"] = remembered
    assert publish("w", partition=3 if after != 3 else 2)


def test_a_transaction_that_has_published_already_keeps_the_old_place_and_holds_up_no_growth() -> None:
    before = partition_for_key(KEY.encode(), 2)
    with transaction.atomic():
        publish("x", key=KEY)
        in_thread(grow).result(timeout=10)
    assert [r.text for r in services.fetch("orders", before, 0)] == ["x"]


def test_a_topic_does_not_shrink() -> None:
    with pytest.raises(PartitionsCannotShrink):
        grow(1)
    assert grow(2) == ""  # as many as there are: nothing happens


def test_a_new_partition_joins_its_topics_segment_with_the_next_roll() -> None:
    located = metadata.locate_topic("orders", using="default")
    store.add_segment(limit=1_000, using="default")
    first = store.roll(located.topic_id, from_segment=0, using="default")
    grow(3)
    services.publish_many("orders", [NewRecord(str(n), partition=n % 3) for n in range(6)], boundary="shop")
    store.add_segment(limit=1_000, using="default")
    second = store.roll(located.topic_id, from_segment=first or 0, using="default")
    rows = Partition.objects.filter(topic__name="orders").order_by("number")
    assert {row.segment for row in rows} == {second}
    services.publish_many("orders", [NewRecord(str(n), partition=n % 3) for n in range(6, 9)], boundary="shop")
    assert [[r.json() for r in services.read_records("orders", partitions=[p])] for p in range(3)] == [
        [0, 3, 6],
        [1, 4, 7],
        [2, 5, 8],
    ]


def test_keys_are_hashed_from_where_the_last_publisher_before_the_change_left_off() -> None:
    """The change waits for a publisher in flight: its records have no hash yet and must not count as hashed."""
    located = metadata.locate_topic("orders", using="default")
    record = (b"k", b"v", None, None, None)
    publish("x", partition=0, key="k")
    with held_open(
        lambda: store.append_one(located.partition_ids[0], record, 2, revision=located.revision, using="default")
    ) as commit:
        altering = in_thread(lambda: services.alter_topic("orders", configs={"index.keys": True}, actor="test"))
        wait_until(someone_waits, message="the change to wait for the publisher")
        commit()
        altering.result(timeout=10)
    assert Partition.objects.get(pk=located.partition_ids[0]).hashed_from == 2
