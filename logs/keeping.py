"""What a topic keeps and what a deletion takes, in words and numbers. Pure, as `pictures.py`."""

from collections.abc import Mapping
from typing import Any

from mqsite.words import say_count, say_counted, say_duration, say_size


def say_retention(configs: dict[str, Any]) -> str:
    """`keeps 7 days, at most 1.2 GB a partition`, `keeps everything`."""
    newest = "keeps the newest record of each key" if "compact" in configs["cleanup.policy"] else ""
    limits = []
    if "delete" in configs["cleanup.policy"]:
        age, size = configs["retention.ms"], configs["retention.bytes"]
        limits += [f"for {say_duration(age)}" if newest else say_duration(age)] if age >= 0 else []
        limits += [f"at most {say_size(size)} a partition"] if size >= 0 else []
    if newest:
        return ", ".join([newest, *limits])
    return f"keeps {', '.join(limits) or 'everything'}"


def say_config(name: str, value: Any) -> str:
    """A configuration's value for a person: `7 days`, `1.0 MB`, `forever`; of others, as it is."""
    if value == 0 and not isinstance(value, bool):
        return "0"
    if name.endswith(".ms"):
        return "forever" if value < 0 else say_duration(value)
    if name.endswith(".bytes"):
        return "no limit" if value < 0 else say_size(value)
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def draw_deletion(topic: dict[str, Any], before: Mapping[int, int]) -> dict[str, Any]:
    """What goes when partitions lose what is before an offset, in numbers, and who has not read it.

    `targets`: where the logs that lose something would start.
    """
    moved = [p for p in topic["partitions"] if before.get(p["number"], 0) > p["log_start"] < p["log_end"]]
    targets = {p["number"]: min(before[p["number"]], p["log_end"]) for p in moved}
    count = sum(targets[p["number"]] - p["log_start"] for p in moved)
    # Compaction leaves holes between the offsets.
    records = ("at most " if "compact" in topic["configs"]["cleanup.policy"] else "") + say_counted(count, "record")
    of = f"of {say_counted(len(moved), 'partition')} of {topic['name']}"
    return {
        "targets": targets,
        "count": count,
        "records": records,
        "said": f"{records[0].upper()}{records[1:]} {of} will be gone for good."
        if count
        else f"Nothing of {topic['name']} is before that.",
        "unread": [
            f"{group} has not read {say_count(unread)} of them, and never will."
            for group in topic["groups"]
            if (unread := sum(_count_unread(p, group, targets[p["number"]]) for p in moved))
        ],
        "rows": [[say_count(n) for n in _list_numbers(p, targets[p["number"]])] for p in moved],
    }


def _count_unread(partition: dict[str, Any], group: str, end: int) -> int:
    """How many records before `end` the group has not read."""
    return sum(
        max(0, end - max(partition["log_start"], g["committed"] or 0))
        for g in partition["groups"]
        if g["group"] == group
    )


def _list_numbers(partition: dict[str, Any], target: int) -> list[int]:
    """Partition, log start, log end, new log start, records that go."""
    start = partition["log_start"]
    return [partition["number"], start, partition["log_end"], target, target - start]


def say_contents(topic: dict[str, Any]) -> str:
    """`26,483 records in 6 partitions, 4.5 MB`"""
    records, partitions = say_counted(topic["records"], "record"), say_counted(topic["partition_count"], "partition")
    return f"{records} in {partitions}, {say_size(topic['size_bytes'])}"


def say_topic_deletion(topic: dict[str, Any], *, is_declared: bool) -> list[str]:
    """What goes with a topic, a sentence each."""
    groups = topic["groups"]
    said = [
        f"{say_contents(topic)}, will be gone for good.",
        f"So will the offsets of {', '.join(groups)} on it." if groups else "No group reads it.",
        f"What {topic['owner']} publishes to {topic['name']} from then on is refused.",
    ]
    return [*said, "It is declared in code: the next migrate makes it anew, empty."] if is_declared else said
