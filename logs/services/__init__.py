"""Verbs that change the log. The only place of this half that opens a transaction."""

from logs.rows import Record
from logs.services.compaction import compact_topics, erase_key
from logs.services.groups import (
    Assignment,
    acquire_partition,
    begin_batch,
    clear_failure,
    commit_checked,
    commit_offset,
    create_group,
    record_failure,
    release_partition,
    renew_partitions,
    subscribe_group,
)
from logs.services.publishing import NewRecord, Published, publish, publish_many
from logs.services.reading import fetch, fetch_assigned, read_records
from logs.services.resets import reset_offsets
from logs.services.topics import (
    add_partitions,
    alter_topic,
    change_topic,
    create_topic,
    delete_records,
    delete_topic,
)
from logs.services.upkeep import (
    apply_retention,
    assign_published,
    create_declared,
    delete_expired,
    free_segments,
    run_upkeep,
    subscribe_declared,
    sweep_commits,
    sweep_producer_ids,
)

__all__ = [
    "Assignment",
    "NewRecord",
    "Published",
    "Record",
    "acquire_partition",
    "add_partitions",
    "alter_topic",
    "apply_retention",
    "assign_published",
    "begin_batch",
    "change_topic",
    "clear_failure",
    "commit_checked",
    "commit_offset",
    "compact_topics",
    "create_declared",
    "create_group",
    "create_topic",
    "delete_expired",
    "delete_records",
    "delete_topic",
    "erase_key",
    "fetch",
    "fetch_assigned",
    "free_segments",
    "publish",
    "publish_many",
    "read_records",
    "record_failure",
    "release_partition",
    "renew_partitions",
    "reset_offsets",
    "run_upkeep",
    "subscribe_declared",
    "subscribe_group",
    "sweep_commits",
    "sweep_producer_ids",
]
