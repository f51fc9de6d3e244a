"""What members do again and again costs the same however many groups, commits and records there are."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from logs import selectors, services
from logs.models import Commit, ConsumerGroup, GroupPartition, Member
from logs.services import GroupReader, NewRecord, group_reader, read_group
from tests.plans import commit_often, counting_reads, plan_of, scans

pytestmark = pytest.mark.django_db(transaction=True)

PARTITIONS = 4
OTHERS = 300  # groups that read the same topic
COMMITS = 10  # of each partition of each other group, not swept yet

TABLES = ("logs_group_partition", "logs_commit")  # the other two stay small: whole pages of them may be read


@pytest.fixture
def knows_topics(request: pytest.FixtureRequest) -> bool:
    """Whether the statistics are new: autovacuum waits for fifty new rows, and few have so many topics."""
    return bool(getattr(request, "param", True))


@pytest.fixture(autouse=True)
def crowd(monkeypatch: pytest.MonkeyPatch, knows_topics: bool) -> None:
    """Many groups on one topic, and as many superseded commits as a busy minute leaves."""
    monkeypatch.setattr(group_reader, "SYNC_SECONDS", 0.0)
    analyse("logs_topic, logs_partition")
    services.create_topic("orders", owner="shop", partitions=PARTITIONS)
    owner = services.create_group("billing", owner="billing", topics=["orders"]).owner
    groups = ConsumerGroup.objects.bulk_create([ConsumerGroup(name=f"g{n}", owner=owner) for n in range(OTHERS)])
    partitions = GroupPartition.objects.filter(group__name="billing").values_list("partition_id", flat=True)
    held = GroupPartition.objects.bulk_create(
        [GroupPartition(group=group, partition_id=id_) for group in groups for id_ in partitions]
    )
    commit_often([row.id for row in held], COMMITS)
    analyse("logs_consumergroup, logs_group_partition, logs_commit")
    if knows_topics:
        analyse("logs_topic, logs_partition")
    records = [NewRecord(n, partition=n % PARTITIONS) for n in range(400)]
    services.publish_many("orders", records, boundary="shop")


def analyse(tables: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {tables}")


def acquire(*, only_unread: bool) -> None:
    assert services.acquire_partition("billing", "orders", 0, member="a", only_unread=only_unread)


def take_again() -> None:
    held = services.acquire_partition("billing", "orders", 0, member="a")
    assert held
    services.release_partition(held)
    assert services.take_again(held, member="a")


@pytest.fixture
def reader() -> Iterator[GroupReader]:
    with read_group("billing", boundary="billing") as joined:
        joined.poll(max_records=1)
        joined.commit()
        services.release_partition(next(a for a in joined.assignments if a.partition == 0))
        yield joined


@pytest.mark.parametrize(
    ("act", "most_rows"),
    [
        (lambda reader: reader.poll(), 60),
        (lambda reader: (reader.poll(), reader.commit()), 80),
        (lambda _: services.pause_group("billing", actor="ann", grace_seconds=0), 120),
        (lambda _: services.plan_reset("billing", "to-latest"), 60),
        (lambda _: services.reset_offsets("billing", "to-latest", actor="ann"), 160),
        (lambda _: selectors.find_behind(["billing"], limit=100), 60),
        (lambda _: acquire(only_unread=True), 20),
        (lambda _: take_again(), 30),
        (lambda _: selectors.list_members("billing"), 60),
    ],
    ids=["poll", "poll and commit", "pause", "plan", "reset", "sweep", "acquire", "take again", "members"],
)
def test_a_group_reads_its_own_rows_only(
    reader: GroupReader, act: Callable[[GroupReader], object], most_rows: int
) -> None:
    assert Commit.objects.count() >= OTHERS * PARTITIONS * COMMITS
    with counting_reads(*TABLES) as reads:
        act(reader)
    assert reads[0].rows <= most_rows
    assert reads[0].seq_scans == 0


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("knows_topics", [False], indirect=True, ids=["analysed when there were none"])
@pytest.mark.parametrize(("act", "most_rows"), [(lambda: acquire(only_unread=True), 20), (take_again, 30)])
def test_who_reads_for_a_handler_reads_its_own_rows_only_whatever_is_known_of_topics(
    act: Callable[[], object], most_rows: int
) -> None:
    with counting_reads(*TABLES) as reads:
        act()
    assert reads[0].rows <= most_rows
    assert reads[0].seq_scans == 0


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("commit_offset", {"group_partition_id": 1, "epoch": 1, "offset": 1, "metadata": None, "is_soon": False}),
        (
            "commit_offsets",
            {
                "group_partition_ids": [1, 2],
                "epochs": [1, 1],
                "offsets": [1, 1],
                "metadata": [None, None],
                "is_soon": True,
            },
        ),
        ("acquire", {"group_partition_ids": [1, 2], "member": "a", "seconds": 9}),
        ("position", {"group_partition_ids": [1, 2]}),
        ("renew", {"group_partition_ids": [1, 2], "member": "a", "seconds": 9}),
        ("fence", {"group_partition_ids": [1, 2], "holder": "a", "seconds": 9}),
        ("begin_batch", {"group_partition_id": 1, "epoch": 1}),
    ],
)
def test_a_statement_finds_its_rows_by_their_keys(name: str, params: dict[str, object]) -> None:
    found = scans(plan_of("logs", name, **params))
    written = {"ModifyTable"}
    assert found["logs_group_partition"] - written <= {"logs_group_partition_pkey", "Bitmap Heap Scan"}
    assert found.get("logs_commit", set()) - written <= {"logs_commit_pkey"}


def test_many_members_are_found_by_their_group() -> None:
    group = selectors.require_group("billing")
    others = ConsumerGroup.objects.exclude(id=group.id)
    expires_at = "2100-01-01T00:00Z"
    Member.objects.bulk_create(
        [Member(group=g, name=f"m{n}", session_seconds=9, expires_at=expires_at) for g in others for n in range(5)]
    )
    analyse("logs_member")
    nodes = plan_of("logs", "members", group_id=group.id)
    assert "Seq Scan" not in scans(nodes)["logs_member"]
    assert {node.get("Index Name") for node in nodes} == {None, "logs_member_once"}
