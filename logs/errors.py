"""What the log refuses."""

from mqsite.errors import Conflict, Invalid, NotFound, NotOwner


class TopicNotFound(NotFound):
    """There is no topic {topic}. Declare it, or create it first."""

    code = "unknown_topic_or_partition"


class PartitionNotFound(NotFound):
    """Topic {topic} has no partition {partition}; it has 0 to {last}."""

    code = "unknown_topic_or_partition"


class PartitionGone(NotFound):
    """A partition was deleted while records were published to it. Nothing of the batch was stored."""

    code = "unknown_topic_or_partition"


class PartitionsCannotShrink(Invalid):
    """{topic} has {partitions} partitions and cannot shrink to {wanted}: their offsets would be lost."""

    code = "invalid_partitions"


class TopicAltered(Conflict):
    """The topic was altered while records were published to it. Nothing of the batch was stored."""

    code = "topic_altered"


class KeyRequired(Invalid):
    """Record {index} has no key. {topic} is compacted: only the newest record of each key stays."""

    code = "invalid_record"


class TimestampOutOfRange(Invalid):
    """Record {index} is of {timestamp}, more than {limit_ms:,} ms ahead of the clock
    (message.timestamp.after.max.ms)."""

    code = "invalid_timestamp"


class KeysNotIndexed(Invalid):
    """The keys of {topic} are not indexed. Alter it with index.keys = true; older records follow by and by."""

    code = "keys_not_indexed"


class GroupNotFound(NotFound):
    """There is no consumer group {group}. Declare it, or create it first."""

    code = "group_id_not_found"


class NotSubscribed(NotFound):
    """Group {group} does not read topic {topic}, or not partition {partition} of it."""

    code = "not_subscribed"


class TopicAlreadyExists(Conflict):
    """Topic {topic} exists already."""

    code = "topic_already_exists"
    permanent = True


class GroupAlreadyExists(Conflict):
    """Group {group} exists already."""

    code = "group_already_exists"
    permanent = True


class OffsetOutOfRange(Invalid):
    """Offset {offset} of {topic}-{partition} is out of range: its log runs from {log_start} up to {log_end}."""

    code = "offset_out_of_range"


class Fenced(Conflict):
    """Group {group} no longer holds {topic}-{partition} in epoch {epoch}: {what}. Nothing was committed."""

    code = "illegal_generation"


class NoOffset(Invalid):
    """Group {group} has no committed offset on {topic}-{partition}, and its auto.offset.reset is none: reset it to
    where it shall begin."""

    code = "no_offset_for_partition"


class MetadataTooLarge(Invalid):
    """The metadata of a commit has {size:,} bytes; at most {limit:,} are allowed."""

    code = "offset_metadata_too_large"


class UnknownMember(NotFound):
    """Group {group} has no member {member}: it left, or it was silent for too long and was forgotten. Join again."""

    code = "unknown_member_id"


class MemberFenced(Conflict):
    """Member {member} of group {group} has joined again since, in epoch {present}: you are in {epoch}."""

    code = "fenced_instance_id"


class NonEmptyGroup(Conflict):
    """Group {group} is in use by {members}. {what}"""

    code = "non_empty_group"


class GroupSubscribed(Conflict):
    """Group {group} reads {topic} at the moment, as {members}. Its offsets were left alone."""

    code = "group_subscribed_to_topic"


class GroupNotPaused(Conflict):
    """{mode} counts from where the group stands, and that moves: pause group {group} first, or these partitions of it:
    {partitions}."""

    code = "group_not_paused"


class PlanOutdated(Conflict):
    """The plan is out of date: {what}. Nothing was moved; make a new one."""

    code = "plan_outdated"


class ResetOvertaken(Conflict):
    """Another reset of group {group}, or the deletion of its topic, came first. Nothing was moved."""

    code = "reset_overtaken"


class LockWaitTooLong(Conflict):
    """A lock was not free in time."""

    code = "lock_wait_too_long"


class ResetBlocked(Conflict):
    """A handler of group {group} has been at work for more than {seconds:.0f} s and its transaction is
    still open. Nothing was moved; its batch will fail and be read again."""

    code = "reset_blocked"


class PartitionHeld(Conflict):
    """{topic}-{partition} of group {group} is held by {owner}, or waits before it retries a failed record."""

    code = "partition_held"


class PublisherNotOwner(NotOwner):
    """Only {owner} publishes to {name}; you act for {boundary}."""


class GroupNotOwned(NotOwner):
    """Only {owner} reads as {name}; you act for {boundary}."""
