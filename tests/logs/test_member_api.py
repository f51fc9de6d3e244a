"""Members of a group over REST: any process serves any of them, and each request stands alone."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from logs import services
from logs.models import GroupPartition, Member
from logs.services.holding import MAX_METADATA_BYTES
from mqsite import long_poll
from tests.concurrency import in_thread
from tests.group_rest import (
    GROUP,
    RESET,
    START,
    beat,
    commit,
    committed,
    create_orders,
    fetch,
    join,
    leave,
    move_to,
    next_offsets,
    numbers,
    read_places,
    take,
)
from tests.rest import client_of, post
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

READ = GroupPartition.objects.filter(group__name="billing")


@pytest.fixture(autouse=True)
def orders() -> None:
    create_orders()


@pytest.fixture
def billing() -> APIClient:
    return client_of("billing")


def test_two_members_share_what_one_of_them_held(billing: APIClient) -> None:
    first = join(billing, session_seconds=30)
    assert (first["session_seconds"], first["heartbeat_seconds"]) == (30, 10)
    assert first["partitions"][0] == {"topic": "orders", "partition": 0, "epoch": 1, "offset": 0}
    assert numbers(first["partitions"]) == [0, 1, 2, 3]
    second = join(billing)
    assert second["partitions"] == []
    assert billing.get(f"/api/{GROUP}").data["state"] == "Reconciling"

    told = beat(billing, first).data
    assert (len(told["partitions"]), len(told["revoked"])) == (2, 2)
    assert beat(billing, second).data["partitions"] == []  # the first has not let go yet
    kept = numbers(fetch(billing, first).data["partitions"])
    taken = numbers(fetch(billing, second).data["partitions"])
    assert (len(kept), sorted(kept + taken)) == (2, [0, 1, 2, 3])
    group = billing.get(f"/api/{GROUP}").data
    assert (group["state"], group["members"]) == ("Stable", 2)
    listed = billing.get(f"/api/{GROUP}members/").data["members"]
    assert {m["member"]: numbers(m["partitions"]) for m in listed} == {first["member"]: kept, second["member"]: taken}


def test_a_member_fetches_commits_and_goes_on_from_there(billing: APIClient) -> None:
    member = join(billing)
    got = fetch(billing, member, max_records=25)
    assert (len(got.data["records"]), got.data["wait_refused"]) == (25, False)
    record = got.data["records"][0]
    assert (record["topic"], record["partition"], record["offset"], record["value"]) == ("orders", 0, 0, "0")
    assert read_places(fetch(billing, member, max_records=25)) == read_places(got)  # nothing is remembered
    done = commit(billing, *next_offsets(got))
    assert (done.status_code, done.data["refused"], len(done.data["committed"])) == (200, [], 4)
    rest = fetch(billing, member)
    assert len(rest.data["records"]) == 15
    assert not set(read_places(rest)) & set(read_places(got))
    commit(billing, *next_offsets(rest))
    assert committed(billing) == [10, 10, 10, 10]
    assert fetch(billing, member).data["records"] == []


def test_a_member_reads_further_than_it_has_committed_from_its_positions(billing: APIClient) -> None:
    member = join(billing)
    first = fetch(billing, member, max_records=10)
    second = fetch(billing, member, max_records=100, positions=next_offsets(first))
    assert len(second.data["records"]) == 30
    assert not set(read_places(first)) & set(read_places(second))
    assert committed(billing) == [None] * 4
    commit(billing, *next_offsets(second))
    assert committed(billing) == [10, 10, 10, 10]


def test_positions_of_what_the_member_does_not_hold_are_ignored(billing: APIClient) -> None:
    services.create_topic("refunds", owner="shop")
    member = join(billing)
    held = {**next_offsets(fetch(billing, member))[0], "offset": 9}
    elsewhere = {**held, "topic": "refunds"}
    of_another_epoch = {**held, "partition": 1, "epoch": 99}
    got = fetch(billing, member, positions=[held, elsewhere, of_another_epoch])
    assert (0, 9) in read_places(got)
    assert len([p for p, _ in read_places(got) if p == 0]) == 1
    assert len([p for p, _ in read_places(got) if p == 1]) == 10


def test_positions_from_before_a_reset_do_not_undo_it(billing: APIClient) -> None:
    member = join(billing)
    got = fetch(billing, member)
    assert len(got.data["records"]) == 40
    post(billing, RESET, {"mode": "to-offset", "offset": 5, "dry_run": False})
    again = fetch(billing, member, positions=next_offsets(got))
    assert read_places(again) == [(p, n) for p in range(4) for n in range(5, 10)]


def test_a_member_commits_what_is_revoked_before_its_next_fetch_lets_go(billing: APIClient) -> None:
    first = join(billing)
    got = fetch(billing, first, max_records=40)
    second = join(billing)
    revoked = numbers(beat(billing, first).data["revoked"])
    assert numbers(beat(billing, first).data["revoked"]) == revoked
    assert commit(billing, *next_offsets(got)).status_code == 200
    assert fetch(billing, first).data["records"] == []
    given = fetch(billing, second).data
    assert numbers(given["partitions"]) == revoked
    assert [p["next_offset"] for p in given["partitions"]] == [10, 10]


def test_a_third_member_gets_a_share_and_what_a_member_leaves_goes_to_the_others(billing: APIClient) -> None:
    members = [join(billing), join(billing), join(billing)]

    def shares() -> list[int]:
        return [len(fetch(billing, member).data["partitions"]) for member in members]

    wait_until(lambda: sorted(shares()) == [1, 1, 2])
    gone = members.pop(0)
    assert leave(billing, gone).status_code == 204
    wait_until(lambda: shares() == [2, 2])
    refused = beat(billing, gone)
    assert (refused.status_code, refused.data["code"]) == (404, "unknown_member_id")
    assert leave(billing, gone).status_code == 404


def test_heartbeats_and_fetches_keep_what_a_member_holds(billing: APIClient) -> None:
    member = join(billing, session_seconds=30)

    def age() -> None:
        READ.update(expires_at=datetime.now(UTC) + timedelta(seconds=1))

    def is_renewed() -> bool:
        return READ.filter(expires_at__gt=datetime.now(UTC) + timedelta(seconds=20)).count() == 4

    age()
    beat(billing, member)
    assert is_renewed()
    age()
    fetch(billing, member)
    assert is_renewed()


def test_a_silent_member_loses_its_partitions_and_can_come_again(billing: APIClient) -> None:
    silent, other = join(billing), join(billing)
    got = fetch(billing, silent, max_records=1)
    Member.objects.filter(name=silent["member"]).update(expires_at=START)
    READ.filter(owner=silent["member"]).update(expires_at=START)
    assert len(fetch(billing, other).data["partitions"]) == 4
    late = commit(billing, *next_offsets(got))
    assert (late.status_code, late.data["code"], late.data["committed"]) == (409, "illegal_generation", [])
    assert f"{other['member']} holds it now" in late.data["refused"][0]["detail"]
    assert beat(billing, silent).data["partitions"] == []
    fetch(billing, other)
    assert len(fetch(billing, silent).data["partitions"]) == 2


def test_a_static_member_that_comes_again_has_its_partitions_and_fences_its_former_self(billing: APIClient) -> None:
    before = join(billing, instance="pos-1")
    assert (before["member"], before["epoch"]) == ("pos-1", 1)
    got = fetch(billing, before)
    after = join(billing, instance="pos-1")
    assert (after["member"], after["epoch"], numbers(after["partitions"])) == ("pos-1", 2, [0, 1, 2, 3])
    refused = beat(billing, before)
    assert (refused.status_code, refused.data["code"]) == (409, "fenced_instance_id")
    assert commit(billing, *next_offsets(got)).data["code"] == "illegal_generation"
    assert commit(billing, *next_offsets(fetch(billing, after))).status_code == 200
    assert leave(billing, before).status_code == 409
    assert leave(billing, after).status_code == 204


def test_a_member_that_is_fenced_by_a_reset_goes_on_from_the_new_place(billing: APIClient) -> None:
    member = join(billing)
    got = fetch(billing, member)
    commit(billing, *next_offsets(got))
    post(billing, RESET, {"mode": "to-earliest", "topics": [{"topic": "orders", "partitions": [2]}], "dry_run": False})
    outcome = commit(billing, *next_offsets(got))
    assert (outcome.status_code, outcome.data["code"], outcome.data["permanent"]) == (409, "illegal_generation", False)
    assert outcome.data["message"].startswith("1 of 4 partitions were not committed. orders-2: billing reset")
    assert numbers(outcome.data["committed"]) == [0, 1, 3]
    (refused,) = outcome.data["refused"]
    assert (refused["topic"], refused["partition"], refused["offset"]) == ("orders", 2, 10)
    assert refused["code"] == "illegal_generation"
    assert refused["detail"].startswith("billing reset it at 20")
    assert refused["detail"].endswith("from 10 to 0")
    again = fetch(billing, member)
    assert read_places(again) == [(2, n) for n in range(10)]
    assert commit(billing, *next_offsets(again)).status_code == 200


def test_a_member_may_name_its_topics_and_the_group_is_subscribed_to_them(billing: APIClient) -> None:
    services.create_topic("refunds", owner="shop")
    join(billing, topics=["refunds"], client="till-7")
    (member,) = billing.get(f"/api/{GROUP}members/").data["members"]
    assert (member["topics"], member["client"]) == (["refunds"], "till-7")
    assert member["member"].startswith("till-7:")
    assert member["partitions"] == [{"topic": "refunds", "partition": 0}]


def test_a_member_whose_first_look_is_refused_does_not_stay(billing: APIClient) -> None:
    post(billing, "groups/", {"name": "strict", "topics": ["orders"], "auto_offset_reset": "none"})
    refused = post(billing, "groups/strict/members/", {})
    assert (refused.status_code, refused.data["code"]) == (400, "no_offset_for_partition")
    assert billing.get("/api/groups/strict/members/").data["members"] == []


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> threading.BoundedSemaphore:
    """One place to wait."""
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(long_poll, "_places", places)
    return places


def is_taken(places: threading.BoundedSemaphore) -> bool:
    if places.acquire(blocking=False):
        places.release()
        return False
    return True


def test_a_waiting_fetch_answers_with_the_first_record_and_one_too_many_does_not_wait(
    billing: APIClient, places: threading.BoundedSemaphore
) -> None:
    member = join(billing)
    commit(billing, *next_offsets(fetch(billing, member)))
    waiting = in_thread(lambda: fetch(billing, member, wait_seconds=20))
    wait_until(lambda: is_taken(places))
    refused = fetch(billing, member, wait_seconds=20)
    assert (refused.data["records"], refused.data["wait_refused"]) == ([], True)
    assert refused.headers["Retry-After"] == "1"
    services.publish("orders", b"new", partition=3, boundary="shop")
    assert read_places(waiting.result(timeout=10)) == [(3, 10)]
    assert not is_taken(places)


def test_a_member_lets_go_of_its_share_while_it_waits(billing: APIClient, places: threading.BoundedSemaphore) -> None:
    first = join(billing)
    commit(billing, *next_offsets(fetch(billing, first)))
    waiting = in_thread(lambda: fetch(billing, first, wait_seconds=20))
    wait_until(lambda: is_taken(places))
    second = join(billing)
    taken = wait_until(lambda: numbers(fetch(billing, second).data["partitions"]))
    kept = ({0, 1, 2, 3} - set(taken)).pop()
    services.publish("orders", b"new", partition=kept, boundary="shop")
    got = waiting.result(timeout=10)
    assert read_places(got) == [(kept, 10)]
    assert not set(numbers(got.data["partitions"])) & set(taken)


def test_a_fetch_that_has_records_is_no_refused_wait(billing: APIClient, places: threading.BoundedSemaphore) -> None:
    places.acquire()
    got = fetch(billing, join(billing), wait_seconds=5)
    assert (len(got.data["records"]), got.data["wait_refused"]) == (40, False)


# Commits


def test_a_commit_outside_the_log_is_refused_before_any_other_is_done(billing: APIClient) -> None:
    good, bad = {**take(0), "offset": 3}, {**take(1), "offset": 11}
    refused = commit(billing, good, bad)
    assert (refused.status_code, refused.data["code"]) == (400, "offset_out_of_range")
    assert "from 0 up to 10" in refused.data["message"]
    assert commit(billing, good, {**bad, "topic": "nope"}).data["code"] == "not_subscribed"
    assert commit(billing, good, {**bad, "offset": 2, "metadata": "x" * (MAX_METADATA_BYTES + 1)}).data["code"] == (
        "offset_metadata_too_large"
    )
    assert committed(billing) == [None] * 4


def test_the_note_of_a_commit_is_kept(billing: APIClient) -> None:
    assert commit(billing, {**take(), "offset": 3, "metadata": " batch 7 "}).data["committed"] == [
        {"topic": "orders", "partition": 0, "offset": 3}
    ]
    (row,) = READ.get(partition__number=0).commits.all()
    assert (row.committed, row.metadata) == (3, " batch 7 ")


def test_offsets_show_where_nothing_is_committed(billing: APIClient) -> None:
    move_to(4)
    offsets = client_of("anyone").get(f"/api/{GROUP}offsets/").data["offsets"]
    assert offsets[:2] == [
        {"topic": "orders", "partition": 0, "committed": 4, "metadata": None},
        {"topic": "orders", "partition": 1, "committed": None, "metadata": None},
    ]
