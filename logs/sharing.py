"""Who reads which partition: shared evenly, and what need not move stays. Every member works it out by itself."""

from collections.abc import Collection, Mapping

Partition = tuple[str, int]  # topic and number


def share_out(
    members: Mapping[str, Collection[str] | None], holders: Mapping[Partition, str | None]
) -> dict[Partition, str]:
    """Partition to the member that shall read it; those that nobody can read are left out.

    `members` maps each to the topics it can read (None: all), `holders` each partition to who holds it now.
    The same picture gives everybody the same answer. Where all members can read the same, no two differ by
    more than one partition. A partition moves only from a member that has at least two more than its next.
    """
    readers = {topic: _readers(members, topic) for topic, _ in holders}
    shares: dict[str, list[Partition]] = {name: [] for name in members}
    free: list[Partition] = []
    for partition in sorted(holders):
        holder = holders[partition]
        if holder is not None and holder in readers[partition[0]]:
            shares[holder].append(partition)
        elif readers[partition[0]]:
            free.append(partition)
    for partition in sorted(free, key=lambda p: (len(readers[p[0]]), p)):  # those with the least choice first
        shares[_least(shares, readers[partition[0]])].append(partition)
    while _move_one(shares, readers):
        pass
    return {partition: name for name, partitions in shares.items() for partition in partitions}


def _readers(members: Mapping[str, Collection[str] | None], topic: str) -> list[str]:
    return sorted(name for name, topics in members.items() if topics is None or topic in topics)


def _least(shares: Mapping[str, list[Partition]], names: Collection[str]) -> str:
    return min(names, key=lambda name: (len(shares[name]), name))


def _move_one(shares: dict[str, list[Partition]], readers: Mapping[str, list[str]]) -> bool:
    """From the fullest member that can give, to the emptiest that can take. False: it is even."""
    for name in sorted(shares, key=lambda name: (-len(shares[name]), name)):
        for partition in reversed(shares[name]):
            heir = _least(shares, readers[partition[0]])
            if len(shares[name]) - len(shares[heir]) >= 2:
                shares[name].remove(partition)
                shares[heir].append(partition)
                return True
    return False
