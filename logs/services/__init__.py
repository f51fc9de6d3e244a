"""Verbs that change the log. The only place of this half that opens a transaction."""

from logs.rows import Record
from logs.services.compaction import compact_topics, erase_key
from logs.services.group_reader import GroupReader, read_group
from logs.services.groups import alter_group, create_group, delete_group, delete_offsets, subscribe_group
from logs.services.history import sample_lag, thin_history
from logs.services.holding import (
    Assignment,
    Commit,
    acquire_partition,
    acquire_partitions,
    begin_batch,
    commit_checked,
    commit_offset,
    commit_offsets,
    fenced,
    record_failure,
    release_partition,
    renew_partitions,
)
from logs.services.members import (
    Membership,
    forget_members,
    join_group,
    keep_member,
    leave_group,
    resume_member,
    sync_member,
)
from logs.services.parking import begin_parked, drop_parked, end_parked, fail_parked, park, retry_parked, take_parked
from logs.services.pausing import pause_group, resume_group, retry_blocked
from logs.services.publishing import NewRecord, Published, publish, publish_many
from logs.services.reading import fetch, fetch_assigned, read_records
from logs.services.reset_plans import ResetPlan, plan_reset, plan_undo
from logs.services.resets import execute_reset, reset_offsets
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
from logs.services.waiting import wait_for_any

__all__ = [
    "Assignment",
    "Commit",
    "GroupReader",
    "Membership",
    "NewRecord",
    "Published",
    "Record",
    "ResetPlan",
    "acquire_partition",
    "acquire_partitions",
    "add_partitions",
    "alter_group",
    "alter_topic",
    "apply_retention",
    "assign_published",
    "begin_batch",
    "begin_parked",
    "change_topic",
    "commit_checked",
    "commit_offset",
    "commit_offsets",
    "compact_topics",
    "create_declared",
    "create_group",
    "create_topic",
    "delete_expired",
    "delete_group",
    "delete_offsets",
    "delete_records",
    "delete_topic",
    "drop_parked",
    "end_parked",
    "erase_key",
    "execute_reset",
    "fail_parked",
    "fenced",
    "fetch",
    "fetch_assigned",
    "forget_members",
    "free_segments",
    "join_group",
    "keep_member",
    "leave_group",
    "park",
    "pause_group",
    "plan_reset",
    "plan_undo",
    "publish",
    "publish_many",
    "read_group",
    "read_records",
    "record_failure",
    "release_partition",
    "renew_partitions",
    "reset_offsets",
    "resume_group",
    "resume_member",
    "retry_blocked",
    "retry_parked",
    "run_upkeep",
    "sample_lag",
    "subscribe_declared",
    "subscribe_group",
    "sweep_commits",
    "sweep_producer_ids",
    "sync_member",
    "take_parked",
    "thin_history",
    "wait_for_any",
]
