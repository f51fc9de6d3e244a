"""Publishing under an id: one place per id, whoever publishes it, however often, in transactions or not."""

import random
from functools import partial
from itertools import chain

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from logs import metadata, services
from logs.models import PublishedId, Record
from logs.services import NewRecord, Published
from mqsite.errors import Invalid, PayloadTooLarge
from tests.concurrency import all_at_once, held_open, in_thread
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PARTITIONS = 3


@pytest.fixture(autouse=True)
def topic() -> str:
    services.create_topic("orders", owner="shop", partitions=PARTITIONS)
    return "orders"


def publish(value: object, id_: str | None, partition: int | None = 0, topic: str = "orders") -> Published | None:
    return services.publish(topic, value, id=id_, partition=partition, boundary="shop")


def texts(partition: int = 0, topic: str = "orders") -> list[str | None]:
    return [r.text for r in services.fetch(topic, partition, 0, max_records=10_000)]


def test_the_second_time_answers_the_first_place_and_stores_nothing() -> None:
    assert publish("first", "a", 2) == Published(2, 0, False)
    assert publish("again", "a", 0) == Published(2, 0, True)
    assert [texts(p) for p in range(PARTITIONS)] == [[], [], ["first"]]


def test_of_one_id_within_a_batch_one_is_stored_and_all_are_told_where() -> None:
    batch = [
        NewRecord("x", id="a", partition=1),
        NewRecord("y", id="b", partition=1),
        NewRecord("z", id="a", partition=1),
    ]
    assert services.publish_many("orders", batch, boundary="shop") == [
        Published(1, 0, False),
        Published(1, 1, False),
        Published(1, 0, True),
    ]
    assert texts(1) == ["x", "y"]


def test_known_and_new_ids_and_records_without_one_mix_in_a_batch() -> None:
    publish("known", "known", 1)
    batch = [
        NewRecord("n", id="new", partition=0),
        NewRecord("k", id="known", partition=0),
        NewRecord("p", partition=0),
    ]
    assert services.publish_many("orders", batch, boundary="shop") == [
        Published(0, 0, False),
        Published(1, 0, True),
        Published(0, 1, False),
    ]


def test_eight_publishers_of_the_same_ids_are_all_told_the_same_places() -> None:
    ids = [f"id {n}" for n in range(40)]
    answers = all_at_once([partial(publish_shuffled, ids, seed) for seed in range(8)])
    places: dict[str, set[tuple[int, int]]] = {}
    for id_, place in chain.from_iterable(answers):
        places.setdefault(id_, set()).add((place.partition, place.offset))
    assert all(len(found) == 1 for found in places.values())
    firsts = [id_ for id_, place in chain.from_iterable(answers) if not place.duplicate]
    assert sorted(firsts) == sorted(ids), "each id is new to exactly one publisher"
    standing = [r for p in range(PARTITIONS) for r in services.fetch("orders", p, 0)]
    assert {r.text: {(r.partition, r.offset)} for r in standing} == places
    assert len(standing) == len(ids)


def publish_shuffled(ids: list[str], seed: int) -> list[tuple[str, Published]]:
    """Each id twice, in batches of one to four over all partitions."""
    chance = random.Random(seed)
    left = chance.sample(ids * 2, len(ids) * 2)
    answers = []
    while left:
        size = chance.randint(1, 4)
        batch, left = left[:size], left[size:]
        records = [NewRecord(id_, id=id_, partition=chance.randrange(PARTITIONS)) for id_ in batch]
        answers += list(zip(batch, services.publish_many("orders", records, boundary="shop") or [], strict=True))
    return answers


def test_transactions_that_publish_ids_in_opposite_orders_do_not_deadlock() -> None:
    services.create_topic("other", owner="shop", partitions=PARTITIONS)
    ids = [f"id {n}" for n in range(12)]

    def transactions(seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(15):
            with transaction.atomic():
                for id_ in chance.sample(ids, 6):
                    place = chance.randrange(PARTITIONS)
                    publish("x", f"{turn} {id_}", place, topic=chance.choice(["orders", "other"]))

    all_at_once([partial(transactions, seed) for seed in range(6)])
    assert Record.objects.count() == PublishedId.objects.count() > 0
    assert deadlocks() == 0


def test_an_open_transaction_holds_up_nobody_and_its_record_gives_way() -> None:
    with held_open(lambda: publish("from the transaction", "a")) as commit:
        assert publish("from outside", "a", 1) == Published(1, 0, False)
        commit()
    assert [texts(p) for p in range(PARTITIONS)] == [[], ["from outside"], []]
    assert publish("once more", "a") == Published(1, 0, True)


def test_who_publishes_an_id_that_is_just_being_committed_waits_and_is_told_where_it_stands() -> None:
    def reach_the_commit() -> None:
        publish("first", "a", 0)
        services.assign_published()

    with held_open(reach_the_commit) as commit:
        second = in_thread(lambda: publish("second", "a", 1))
        wait_until(someone_waits, message="the second publisher to wait")
        commit()
        assert second.result(timeout=10) == Published(0, 0, True)
    assert [texts(p) for p in range(PARTITIONS)] == [["first"], [], []]


def test_who_waited_for_a_transaction_that_rolls_back_is_the_first() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        publish("first", "a", 0)
        services.assign_published()
        second = in_thread(lambda: publish("second", "a", 1))
        wait_until(someone_waits, message="the second publisher to wait")
        raise ZeroDivisionError
    assert second.result(timeout=10) == Published(1, 0, False)
    assert [texts(p) for p in range(PARTITIONS)] == [[], ["second"], []]


def someone_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("manner", ["transaction", "savepoint"])
def test_an_id_that_was_rolled_back_is_free_again(manner: str) -> None:
    with transaction.atomic():
        publish("kept", "b")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            publish("undone", "a")
            raise ZeroDivisionError
        if manner == "transaction":
            transaction.set_rollback(True)
    assert publish("a", "a", 1) == Published(1, 0, False)
    assert publish("b", "b", 1) == (Published(1, 1, False) if manner == "transaction" else Published(0, 0, True))


def test_one_transaction_may_publish_an_id_again() -> None:
    with transaction.atomic():
        publish("first", "a", 2)
        publish("again", "a", 0)
    assert [texts(p) for p in range(PARTITIONS)] == [[], [], ["first"]]


def test_ids_are_of_one_topic_and_go_with_it() -> None:
    services.create_topic("other", owner="shop")
    publish("x", "a")
    assert publish("y", "a", topic="other") == Published(0, 0, False)
    services.delete_topic("orders", actor="test")
    services.create_topic("orders", owner="shop", partitions=PARTITIONS)
    assert publish("z", "a") == Published(0, 0, False)
    assert publish("y", "a", topic="other") == Published(0, 0, True)


def test_an_id_is_remembered_when_its_record_has_expired() -> None:
    publish("x", "a")
    services.delete_records("orders", {0: -1}, actor="test")
    services.run_upkeep()
    assert publish("x", "a") == Published(0, 0, True)


def test_ids_are_forgotten_after_the_window_and_not_before(settings: Settings) -> None:
    publish("x", "a")
    assert services.sweep_producer_ids() == 0
    settings.MQSITE_PRODUCER_ID_SECONDS = 0
    assert services.sweep_producer_ids() == 1
    assert publish("x", "a") == Published(0, 1, False)


def test_sweeps_at_once_forget_each_id_once_and_do_not_deadlock(settings: Settings) -> None:
    for start in range(0, 6_000, 2_000):
        records = [NewRecord("x", id=f"{n}") for n in range(start, start + 2_000)]
        services.publish_many("orders", records, boundary="shop")
    settings.MQSITE_PRODUCER_ID_SECONDS = 0

    def sweep() -> int:
        total = 0
        while swept := services.sweep_producer_ids(limit=100):
            total += swept
        return total

    assert sum(all_at_once([sweep] * 4)) <= 6_000
    assert not PublishedId.objects.exists()
    assert deadlocks() == 0


def test_a_retry_by_a_process_that_has_not_seen_the_new_partitions_is_told_the_place() -> None:
    stale = metadata.locate_topic("orders", using="default")
    services.add_partitions("orders", PARTITIONS + 1, actor="test")
    assert publish("x", "a", PARTITIONS) == Published(PARTITIONS, 0, False)
    metadata._topics["default", "orders"] = stale
    assert publish("x", "a", 0) == Published(PARTITIONS, 0, True)


@pytest.mark.parametrize("id_", ["", "x" * 513, "a\0b", "half \ud800", 7, b"a"])
def test_an_id_that_cannot_be_one_is_refused(id_: object) -> None:
    with pytest.raises(Invalid, match="an id is text of 1 to 512 characters"):
        publish("x", id_)  # type: ignore[arg-type]
    assert not Record.objects.exists()


def test_a_process_that_knows_an_old_limit_looks_again_even_if_all_ids_are_known() -> None:
    publish("long enough", "a")
    remembered = dict(metadata._topics)
    services.alter_topic("orders", configs={"max.message.bytes": 5}, actor="test")
    metadata._topics.update(remembered)  # as in a process that has not looked since
    with pytest.raises(PayloadTooLarge):
        publish("long enough", "a")
