"""Verbs that change the log. The only place of this half that opens a transaction."""

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
from logs.services.reading import fetch, fetch_assigned
from logs.services.resets import reset_offsets
from logs.services.topics import create_topic, delete_topic
from logs.services.upkeep import assign_published, create_declared, subscribe_declared, sweep_commits
from logs.store import Record

__all__ = [
    "Assignment",
    "NewRecord",
    "Published",
    "Record",
    "acquire_partition",
    "assign_published",
    "begin_batch",
    "clear_failure",
    "commit_checked",
    "commit_offset",
    "create_declared",
    "create_group",
    "create_topic",
    "delete_topic",
    "fetch",
    "fetch_assigned",
    "publish",
    "publish_many",
    "record_failure",
    "release_partition",
    "renew_partitions",
    "reset_offsets",
    "subscribe_declared",
    "subscribe_group",
    "sweep_commits",
]
