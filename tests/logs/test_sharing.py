"""Sharing partitions out: even, the same for everybody, and nothing moves that need not."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from logs.sharing import Partition, share_out

MEMBERS = ["ann", "bob", "cid", "dan", "eve"]
TOPICS = ["orders", "payments", "shipments"]

partitions = st.builds(
    lambda counts: [(topic, n) for topic, count in counts.items() for n in range(count)],
    st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 8)),
)
some_members = st.lists(st.sampled_from(MEMBERS), unique=True)
subscriptions = st.none() | st.sets(st.sampled_from(TOPICS))


@st.composite
def pictures(draw: st.DrawFn, *, all_alike: bool) -> tuple[dict[str, set[str] | None], dict[Partition, str | None]]:
    members = {name: None if all_alike else draw(subscriptions) for name in draw(some_members)}
    holders = {p: draw(st.none() | st.sampled_from(MEMBERS)) for p in draw(partitions)}
    return members, holders


@given(pictures(all_alike=True))
def test_no_two_members_differ_by_more_than_one_partition(
    picture: tuple[dict[str, set[str] | None], dict[Partition, str | None]],
) -> None:
    members, holders = picture
    shares = share_out(members, holders)
    assert set(shares) == (set(holders) if members else set())
    counts = Counter[str]()
    counts.update(shares.values())
    sizes = [counts[name] for name in members]
    assert not sizes or max(sizes) - min(sizes) <= 1


@given(pictures(all_alike=False))
def test_every_partition_goes_to_a_member_that_can_read_it_if_there_is_one(
    picture: tuple[dict[str, set[str] | None], dict[Partition, str | None]],
) -> None:
    members, holders = picture
    shares = share_out(members, holders)
    for topic, number in holders:
        readers = {name for name, topics in members.items() if topics is None or topic in topics}
        assert (shares.get((topic, number)) in readers) if readers else ((topic, number) not in shares)


@given(pictures(all_alike=False))
def test_what_is_shared_out_stays_as_it_is(
    picture: tuple[dict[str, set[str] | None], dict[Partition, str | None]],
) -> None:
    members, holders = picture
    shares = share_out(members, holders)
    assert share_out(members, {p: shares.get(p) for p in holders}) == shares


@given(pictures(all_alike=True), st.sampled_from(MEMBERS))
def test_one_who_leaves_moves_only_its_own_partitions(
    picture: tuple[dict[str, set[str] | None], dict[Partition, str | None]], leaver: str
) -> None:
    members, holders = picture
    before = share_out(members, holders)
    remaining = {name: topics for name, topics in members.items() if name != leaver}
    after = share_out(remaining, {p: before.get(p) for p in holders})
    moved = {p for p in before if before[p] != after.get(p) and before[p] != leaver}
    assert not moved


@given(pictures(all_alike=True), st.sampled_from(MEMBERS))
def test_one_who_joins_takes_no_more_than_its_share_and_nothing_else_moves(
    picture: tuple[dict[str, set[str] | None], dict[Partition, str | None]], newcomer: str
) -> None:
    members, holders = picture
    members = {name: None for name in members if name != newcomer}
    before = share_out(members, holders)
    after = share_out({**members, newcomer: None}, {p: before.get(p) for p in holders})
    moved = {p for p in before if before[p] != after[p]}
    assert all(after[p] == newcomer for p in moved)
    assert len(moved) <= len(holders) // (len(members) + 1)
