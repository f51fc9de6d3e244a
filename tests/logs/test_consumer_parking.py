"""A group's own dead letters: parked with the commit past them, tried again for that group alone, or dropped."""

from typing import Any

import pytest

from logs import consumer, selectors, services
from logs.errors import GroupNotFound
from logs.models import GroupPartition, ParkedRecord
from logs.rows import Record
from logs.services import NewRecord, parking
from mqsite.errors import Invalid, NotFound
from mqsite.models import AuditEntry
from mqsite.retry import Reject, Retry
from tests.concurrency import elsewhere, held_open
from tests.logs.conftest import Subscribed

pytestmark = pytest.mark.django_db(transaction=True)


def publish(count: int) -> None:
    records = [NewRecord({"n": n}, key=f"k{n}", headers=[("h", str(n))]) for n in range(count)]
    services.publish_many("orders", records, boundary="shop")


def drain() -> bool:
    return consumer.drain("billing", "orders", 0, stop=lambda: False)


def sweep() -> int:
    return consumer.sweep(stop=lambda: False)


def state() -> dict[str, Any]:
    found: dict[str, Any] = selectors.describe_group("billing")["topics"][0]["partitions"][0]["groups"][0]
    return found


def parked() -> list[tuple[int, str, int]]:
    return [(p["offset"], p["reason"], p["attempts"]) for p in selectors.list_parked("billing")]


class Handler:
    """Writes what it gets, and fails on what it is told to fail on."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = {int(offset[1:]): error for offset, error in failures.items()}
        self.seen: list[Record] = []

    def __call__(self, record: Record) -> None:
        self.seen.append(record)
        AuditEntry.objects.create(actor="handler", action=str(record.offset), subject="")
        if record.offset in self.failures:
            raise self.failures[record.offset]

    @property
    def written(self) -> list[int]:
        entries = AuditEntry.objects.filter(actor="handler").order_by("id")
        return [int(action) for action in entries.values_list("action", flat=True)]


def test_after_its_attempts_a_record_is_parked_and_the_group_goes_on(subscribed: Subscribed) -> None:
    handler = Handler(_2=ValueError("no"))
    subscribed(handler, on_failure="park", retry=Retry(attempts=2))
    publish(5)
    drain()
    assert (state()["committed"], parked()) == (2, []), "the order is kept while it is tried"
    GroupPartition.objects.update(retry_at=None)
    drain()
    assert (state()["committed"], state()["failing"]) == (5, None)
    assert handler.written == [0, 1, 3, 4]
    (letter,) = selectors.list_parked("billing")
    assert (letter["offset"], letter["reason"], letter["attempts"]) == (2, "attempts", 2)
    assert (letter["key"], letter["value"], letter["headers"]) == ("k2", '{"n":2}', [("h", "2")])
    assert "ValueError: no" in letter["detail"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Reject("no such customer"), "rejected"),
        (KeyError("YV"), "permanent"),
        (NotFound(what="It"), "permanent"),
    ],
)
def test_what_no_retry_can_help_is_parked_at_once(subscribed: Subscribed, error: Exception, reason: str) -> None:
    subscribed(Handler(_1=error), on_failure="park", retry=Retry(attempts=5, permanent=(KeyError,)))
    publish(3)
    drain()
    assert parked() == [(1, reason, 1)]
    assert state()["committed"] == 3


def test_retention_does_not_reach_what_is_parked(subscribed: Subscribed) -> None:
    subscribed(Handler(_0=Reject()), on_failure="park")
    publish(1)
    drain()
    services.delete_records("orders", {0: 1}, actor="ann")
    assert selectors.list_parked("billing")[0]["value"] == '{"n":0}'


def test_parked_records_are_tried_again_for_their_group_and_dropped_with_the_handlers_writes(
    subscribed: Subscribed,
) -> None:
    handler = Handler(_1=Reject(), _3=Reject(), _4=Reject())
    subscribed(handler, on_failure="park")
    publish(5)
    drain()
    del handler.failures[1], handler.failures[4]
    first, second, _ = (p["id"] for p in selectors.list_parked("billing"))
    assert sweep() == 0, "nobody asked"
    assert services.retry_parked("billing", [first, second], actor="ann", reason="fixed") == 2
    assert services.retry_parked("billing", [first], actor="ann") == 0, "asked for already"
    services.pause_group("billing", actor="ann")
    assert sweep() == 0, "a group that is paused runs no handlers"
    services.resume_group("billing", actor="ann")
    assert [p["retry_asked_by"] for p in selectors.list_parked("billing")] == ["ann", "ann", None]
    assert sweep() == 2
    assert handler.written == [0, 2, 1], "what the failing one wrote is undone"
    assert parked() == [(3, "rejected", 2), (4, "rejected", 1)]
    assert [(r.offset, r.key, r.headers, r.is_replay) for r in handler.seen[-2:]] == [
        (1, b"k1", [("h", "1")], True),
        (3, b"k3", [("h", "3")], True),
    ]
    assert sweep() == 0, "it failed again, and waits until somebody asks again"
    assert AuditEntry.objects.filter(action="retry parked", actor="ann", reason="fixed").count() == 1


@pytest.mark.parametrize("delivery", ["transaction", "at_least_once", "at_most_once"])
def test_a_parked_record_is_tried_by_one_worker_at_a_time(subscribed: Subscribed, delivery: str) -> None:
    def fail(record: Record) -> None:
        raise ValueError("no")

    subscribed(fail, on_failure="park", delivery=delivery, retry=None if "most" in delivery else Retry(attempts=1))
    publish(1)
    drain()
    services.retry_parked("billing", actor="ann")
    others: list[int] = []
    subscribed(lambda record: others.append(elsewhere(sweep)), delivery=delivery)
    assert sweep() == 1
    assert others == [0]
    assert parked() == []


def test_a_parked_record_that_fails_otherwise_says_so(subscribed: Subscribed) -> None:
    handler = Handler(_0=KeyError("YV"))
    subscribed(handler, on_failure="park", retry=Retry(attempts=1, permanent=(KeyError,)))
    publish(1)
    drain()
    assert parked() == [(0, "permanent", 1)]
    handler.failures[0] = ValueError("later")
    services.retry_parked("billing", actor="ann")
    sweep()
    assert parked() == [(0, "attempts", 2)]


def test_what_is_being_tried_is_not_asked_for_again_and_nobody_waits(subscribed: Subscribed) -> None:
    subscribed(Handler(_0=ValueError("no"), _1=ValueError("no")), on_failure="park", retry=Retry(attempts=1))
    publish(2)
    drain()
    drain()

    def hold() -> None:
        services.retry_parked("billing", [selectors.list_parked("billing")[-1]["id"]], actor="ann")
        assert services.take_parked("billing", "orders", after=0)

    with held_open(hold) as commit:
        assert elsewhere(lambda: services.retry_parked("billing", actor="bob")) == 1
        commit()


def test_parked_records_are_listed_in_pages_and_dropped_by_hand(subscribed: Subscribed) -> None:
    subscribed(Handler(_0=Reject(), _1=Reject(), _2=Reject()), on_failure="park")
    publish(3)
    drain()
    page = selectors.list_parked("billing", limit=2)
    rest = selectors.list_parked("billing", after=page[-1]["id"])
    assert [p["offset"] for p in page + rest] == [0, 1, 2]
    assert services.drop_parked("billing", [page[0]["id"]], actor="ann", reason="test order") == 1
    assert services.drop_parked("billing", actor="ann") == 2
    assert selectors.count_parked("billing") == 0
    assert list(AuditEntry.objects.filter(action="drop parked").order_by("id").values_list("facts", flat=True)) == [
        {"records": 1, "ids": [page[0]["id"]]},
        {"records": 2, "ids": None},
    ]
    with pytest.raises(Invalid, match="allowed are 1 to 1,000"):
        selectors.list_parked("billing", limit=0)
    with pytest.raises(Invalid, match="There are 0 ids"):
        services.drop_parked("billing", [], actor="ann")
    with pytest.raises(GroupNotFound):
        services.retry_parked("nobody", actor="ann")


def test_with_no_room_to_park_the_group_blocks_and_says_so(
    subscribed: Subscribed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "MAX_PARKED_RECORDS", 1)
    subscribed(Handler(_0=Reject(), _1=Reject()), on_failure="park")
    publish(3)
    drain()
    assert state()["committed"] == 1
    assert state()["failing"]["error"].startswith("There is no room to park it: retry or drop some of what billing")
    services.drop_parked("billing", actor="ann")
    services.retry_blocked("billing", actor="ann")
    drain()
    assert (state()["committed"], parked()) == (3, [(1, "rejected", 1)])


def test_after_a_reset_what_is_parked_stays_and_is_parked_once(subscribed: Subscribed) -> None:
    subscribed(Handler(_1=Reject()), on_failure="park")
    publish(3)
    drain()
    plan = services.plan_reset("billing", "to-earliest")
    assert plan.warnings == ["What is parked stays parked (1): retry or drop it by itself."]
    services.execute_reset(plan.token, actor="ann")
    assert parked() == [(1, "rejected", 1)]
    drain()
    assert (state()["committed"], parked()) == (3, [(1, "rejected", 1)])


def test_parking_and_the_commit_past_it_are_one_transaction(subscribed: Subscribed) -> None:
    """A reset that comes in between undoes both."""

    def reset_and_reject(record: Record) -> None:
        if not record.is_replay and record.offset == 0:
            elsewhere(lambda: GroupPartition.objects.update(epoch=1_000))
        raise Reject

    subscribed(reset_and_reject, on_failure="park", delivery="at_least_once")
    publish(1)
    drain()
    assert (state()["committed"], parked()) == (None, [])


def test_erasing_a_key_reaches_what_is_parked(subscribed: Subscribed) -> None:
    subscribed(Handler(_0=Reject(), _1=Reject()), on_failure="park")
    services.alter_topic("orders", configs={"index.keys": True}, actor="ann")
    publish(2)
    drain()
    services.erase_key("orders", "k0", actor="ann")
    found = selectors.list_parked("billing")
    assert [(p["key"], p["value"], p["headers"]) for p in found] == [
        ("k0", None, []),
        ("k1", '{"n":1}', [("h", "1")]),
    ]


def test_blocking_with_attempts_ends_in_a_block_that_somebody_lifts(subscribed: Subscribed) -> None:
    handler = Handler(_1=ValueError("no"))
    subscribed(handler, retry=Retry(attempts=2))
    publish(3)
    drain()
    assert state()["failing"]["retry_in"] <= 1
    GroupPartition.objects.update(retry_at=None)
    drain()
    failing = state()["failing"]
    assert (failing["attempts"], failing["retry_in"]) == (2, None)
    (retry_at,) = GroupPartition.objects.filter(failing_offset=1).values_list("retry_at", flat=True)
    assert str(retry_at).startswith("9999-"), "a time that Python can read"
    assert sweep() == 0
    handler.failures.clear()
    assert services.retry_blocked("billing", actor="ann", reason="fixed") == 1
    drain()
    assert (state()["committed"], state()["failing"], handler.written) == (3, None, [0, 1, 2])


def test_blocking_for_ever_waits_long_for_what_no_retry_can_help(subscribed: Subscribed) -> None:
    subscribed(Handler(_0=Reject("no such customer")), retry=Retry(max_seconds=100))
    publish(1)
    drain()
    assert 75 < state()["failing"]["retry_in"] <= 100
    assert ParkedRecord.objects.count() == 0


def test_a_deleted_group_takes_what_it_parked_along_and_a_deleted_topic_does_not(subscribed: Subscribed) -> None:
    subscribed(Handler(_0=Reject()), on_failure="park")
    publish(1)
    drain()
    services.delete_topic("orders", actor="ann")
    assert selectors.list_parked("billing")[0]["value"] == '{"n":0}'
    services.delete_group("billing", actor="ann")
    assert ParkedRecord.objects.count() == 0


def test_the_attempts_of_one_record_are_not_counted_for_the_next(subscribed: Subscribed) -> None:
    handler = Handler(_0=ValueError("no"), _1=ValueError("no"))
    subscribed(handler, on_failure="park", retry=Retry(attempts=2))
    publish(2)
    drain()
    del handler.failures[0]
    GroupPartition.objects.update(retry_at=None)
    drain()
    assert (state()["committed"], state()["failing"]["attempts"], parked()) == (1, 1, [])
