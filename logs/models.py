"""Tables of the log. Workflow lives in services, hot statements in sql/."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from mqsite.models import NAME_RULE, Boundary

DAY_MS = 86_400_000


class Topic(models.Model):
    """A named log. One boundary publishes to it, anyone reads. Its configuration has Kafka's names: `configs.py`."""

    class CleanupPolicy(models.TextChoices):
        DELETE = "delete", "delete what is old"
        COMPACT = "compact", "keep the newest record of each key"
        BOTH = "compact,delete", "both"

    class TimestampType(models.TextChoices):
        CREATE_TIME = "CreateTime", "the publisher's"
        LOG_APPEND_TIME = "LogAppendTime", "when it was appended"

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=249, unique=True, validators=[NAME_RULE])
    owner = models.ForeignKey(Boundary, on_delete=models.PROTECT, related_name="topics")
    description = models.TextField(blank=True, default="")
    cleanup_policy = models.CharField(max_length=14, choices=CleanupPolicy.choices, default=CleanupPolicy.DELETE)
    retention_ms = models.BigIntegerField(default=7 * DAY_MS)
    retention_bytes = models.BigIntegerField(default=-1)
    delete_retention_ms = models.BigIntegerField(default=DAY_MS)
    min_compaction_lag_ms = models.BigIntegerField(default=0)
    max_message_bytes = models.PositiveIntegerField(default=1_048_588)
    message_timestamp_type = models.CharField(
        max_length=13, choices=TimestampType.choices, default=TimestampType.CREATE_TIME
    )
    message_timestamp_after_max_ms = models.BigIntegerField(default=3_600_000)
    index_keys = models.BooleanField(default=False)
    # New with every change a publisher must know of. Random, so that no other topic, not even one in a
    # restored database, is ever taken for what a process remembers.
    revision = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Partition(models.Model):
    """The row every publisher of the partition locks and none updates: a counter here would decay."""

    id = models.AutoField(primary_key=True)
    topic = models.ForeignKey(Topic, on_delete=models.CASCADE, related_name="partitions", db_index=False)
    number = models.PositiveIntegerField()
    revision = models.UUIDField(editable=False)  # its topic's
    log_start = models.BigIntegerField(default=0)  # also the floor once every record is gone
    log_start_bytes = models.BigIntegerField(default=0, editable=False)  # the running total before the log start
    segment = models.SmallIntegerField(default=0, editable=False)  # where appends go now
    segment_start = models.BigIntegerField(default=0, editable=False)  # the first offset there
    hash_keys = models.BooleanField(default=False, editable=False)
    hashed_from = models.BigIntegerField(default=0, editable=False)  # every record from here on has its key hash
    cleaned_until = models.BigIntegerField(default=0, editable=False)  # compaction goes on from here

    class Meta:
        ordering = ["topic_id", "number"]
        constraints = [models.UniqueConstraint(fields=["topic", "number"], name="logs_partition_number")]

    def __str__(self) -> str:
        return f"{self.topic.name}-{self.number}"


class Record(models.Model):
    """One record. Written by logs_append alone. The table and its segments are made in sql/functions/."""

    pk = models.CompositePrimaryKey("partition_id", "offset")
    offset = models.BigIntegerField()
    timestamp = models.DateTimeField()
    timestamp_max = models.DateTimeField()  # the running maximum in the partition
    bytes_end = models.BigIntegerField()  # the running total of key, value and headers in the partition
    # No constraint: it would lock the partition row once more for each record. logs_append checks.
    partition = models.ForeignKey(Partition, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    segment = models.SmallIntegerField()
    key_hash = models.BigIntegerField(null=True)
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)
    headers = models.TextField(null=True)  # noqa: DJ001  [["name","value"],...], parsed by who needs it
    content_type = models.TextField(null=True)  # noqa: DJ001

    class Meta:
        ordering = ["partition_id", "offset"]

    def __str__(self) -> str:
        return f"{self.partition_id}:{self.offset}"


class Segment(models.Model):
    """A child of logs_record. 0 is shared and has no row here; any other belongs to one topic or is free."""

    id = models.SmallIntegerField(primary_key=True)
    topic_id = models.IntegerField(null=True)  # of a topic that may be deleted by now
    opened_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.pk}"


class Extent(models.Model):
    """From `first_offset` up to the next extent a partition's records stand in `segment`; before, in segment 0."""

    pk = models.CompositePrimaryKey("partition_id", "first_offset")
    partition_id = models.IntegerField()
    first_offset = models.BigIntegerField()
    segment = models.SmallIntegerField(db_index=True)

    def __str__(self) -> str:
        return f"{self.partition_id}:{self.first_offset} in {self.segment}"


class ExpiredRange(models.Model):
    """Offsets of the shared segment that nobody can read any more and that are to be deleted."""

    partition_id = models.IntegerField()
    first_offset = models.BigIntegerField()
    end_offset = models.BigIntegerField()

    class Meta:
        db_table = "logs_expired"

    def __str__(self) -> str:
        return f"{self.partition_id}:{self.first_offset} to {self.end_offset}"


class Tombstone(models.Model):
    """A record without a value that compaction has passed: the newest of its key, to be removed in time."""

    pk = models.CompositePrimaryKey("partition_id", "offset")
    partition_id = models.IntegerField()
    offset = models.BigIntegerField()
    remove_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "logs_tombstone"

    def __str__(self) -> str:
        return f"{self.partition_id}:{self.offset}"


class PublishedId(models.Model):
    """A producer-chosen id that is remembered, and where its record stands."""

    pk = models.CompositePrimaryKey("topic_id", "producer_id")
    topic_id = models.IntegerField()
    producer_id = models.TextField()
    partition_id = models.IntegerField()
    offset = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "logs_published"
        indexes = [BrinIndex(fields=["at"], name="logs_published_at")]

    def __str__(self) -> str:
        return f"{self.topic_id}:{self.producer_id}"


class ConsumerGroup(models.Model):
    """Reads topics under one name, at its own pace."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=249, unique=True, validators=[NAME_RULE])
    owner = models.ForeignKey(Boundary, on_delete=models.PROTECT, related_name="consumer_groups")
    # Where it reads a partition without a committed offset, or one that retention has passed: `policies.py`.
    auto_offset_reset = models.CharField(max_length=64, default="earliest")
    paused_at = models.DateTimeField(null=True, editable=False)  # all of it, whatever it reads later
    paused_by = models.CharField(max_length=249, blank=True, default="", editable=False)
    pause_reason = models.TextField(blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class GroupPartition(models.Model):
    """The one fence: who may read a partition for a group, and in which epoch."""

    id = models.AutoField(primary_key=True)
    group = models.ForeignKey(ConsumerGroup, on_delete=models.CASCADE, related_name="group_partitions", db_index=False)
    partition = models.ForeignKey(Partition, on_delete=models.CASCADE, related_name="group_partitions")
    owner = models.CharField(max_length=249, null=True, editable=False)  # noqa: DJ001  the member that holds it
    epoch = models.BigIntegerField(default=0, editable=False)  # grows with every change of owner, and on reset
    expires_at = models.DateTimeField(null=True, editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    paused_by = models.CharField(max_length=249, blank=True, default="", editable=False)
    pause_reason = models.TextField(blank=True, default="", editable=False)
    reset_epoch = models.BigIntegerField(default=0, editable=False)  # its epoch right after the last reset
    # Offsets below it were committed once before a reset: reading them again is a replay.
    replay_until = models.BigIntegerField(default=0, editable=False)
    failing_offset = models.BigIntegerField(null=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    error = models.TextField(blank=True, default="", editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "logs_group_partition"
        verbose_name = "offset"
        ordering = ["group_id", "partition_id"]
        constraints = [models.UniqueConstraint(fields=["group", "partition"], name="logs_group_partition_once")]

    def __str__(self) -> str:
        return f"{self.group.name} on {self.partition}"


class Member(models.Model):
    """Somebody who reads for a group over a while: it says what it could read and that it is there. What it may
    read, the group-partition rows say."""

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(ConsumerGroup, on_delete=models.CASCADE, related_name="members", db_index=False)
    name = models.CharField(max_length=249)  # the member id, the owner in group-partition rows
    is_static = models.BooleanField(default=False)  # named by its user: it keeps its partitions across a restart
    epoch = models.BigIntegerField(default=1)  # grows when a static member comes again
    topics = ArrayField(models.CharField(max_length=249), null=True)  # those it can read; null: all of the group's
    client = models.CharField(max_length=249, blank=True, default="")  # host and process, or the API key
    session_seconds = models.FloatField()
    joined_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "logs_member"
        ordering = ["group_id", "name"]
        constraints = [models.UniqueConstraint(fields=["group", "name"], name="logs_member_once")]

    def __str__(self) -> str:
        return self.name


class Reset(models.Model):
    """A group's offsets were moved: who did it, how and why. Never changed."""

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(ConsumerGroup, on_delete=models.CASCADE, related_name="resets")
    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=249)
    mode = models.CharField(max_length=32)
    said = models.CharField(max_length=512)  # the mode with its value, as words: "to offset 812"
    reason = models.TextField(blank=True, default="")
    undoes = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="undone_by")

    class Meta:
        db_table = "logs_reset"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.group} {self.said} by {self.actor}"


class ResetMove(models.Model):
    """What a reset did to one partition."""

    id = models.BigAutoField(primary_key=True)
    reset = models.ForeignKey(Reset, on_delete=models.CASCADE, related_name="moves")
    group_partition = models.ForeignKey(GroupPartition, on_delete=models.CASCADE, related_name="moves")
    epoch = models.BigIntegerField()  # of the group-partition row afterwards
    committed = models.BigIntegerField(null=True)  # before; null: never
    position = models.BigIntegerField()  # before: where it would have read on
    target = models.BigIntegerField()

    class Meta:
        db_table = "logs_reset_move"
        ordering = ["reset_id", "id"]

    def __str__(self) -> str:
        return f"{self.group_partition} from {self.committed} to {self.target}"


class LagSample(models.Model):
    """How far a group was behind on a topic at a time. Thinned and bounded by the upkeep."""

    pk = models.CompositePrimaryKey("group_id", "topic_id", "at")
    group = models.ForeignKey(ConsumerGroup, on_delete=models.CASCADE, related_name="lag_samples", db_index=False)
    topic = models.ForeignKey(Topic, on_delete=models.CASCADE, related_name="lag_samples")
    at = models.DateTimeField()
    lag = models.BigIntegerField()  # records, over all partitions
    lag_seconds = models.FloatField(null=True)  # age of the oldest record not yet consumed; null: none
    log_end = models.BigIntegerField()  # the sum over all partitions: what was published between two samples

    class Meta:
        db_table = "logs_lag_sample"
        ordering = ["group_id", "topic_id", "at"]

    def __str__(self) -> str:
        return f"{self.lag} at {self.at}"


class ParkedRecord(models.Model):
    """A group's own dead letter: a record its handler could not do, set aside so that the group could go on. A copy,
    which retention cannot take."""

    class Reason(models.TextChoices):
        ATTEMPTS = "attempts", "it failed each time"
        PERMANENT = "permanent", "its error is one that no retry can help"
        REJECTED = "rejected", "the handler rejected it"
        FAILED = "failed", "it failed, and is never called twice"

    group = models.ForeignKey(ConsumerGroup, on_delete=models.CASCADE, related_name="parked", db_index=False)
    topic = models.CharField(max_length=249)
    partition = models.PositiveIntegerField()
    offset = models.BigIntegerField()
    timestamp = models.DateTimeField()
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)
    headers = models.TextField(null=True)  # noqa: DJ001  as in the log
    content_type = models.TextField(null=True)  # noqa: DJ001
    reason = models.CharField(max_length=9, choices=Reason.choices)
    detail = models.TextField(blank=True, default="")  # the error with its traceback
    attempts = models.PositiveIntegerField()
    parked_at = models.DateTimeField(db_default=Now())
    retry_asked_at = models.DateTimeField(null=True)  # a worker of the group shall try again
    retry_asked_by = models.CharField(max_length=249, blank=True, default="")

    class Meta:
        db_table = "logs_parked"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["group", "topic", "partition", "offset"], name="logs_parked_once")
        ]
        indexes = [
            models.Index(fields=["group", "id"], name="logs_parked_group"),
            models.Index(fields=["group", "id"], name="logs_parked_asked", condition=Q(retry_asked_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset} of {self.group}"


class Commit(models.Model):
    """A committed offset: the NEXT one to read. The newest row counts, the sweep deletes older ones.

    Inserted, not updated: an UPDATE per commit went from 28 to 483 microseconds under a held
    snapshot, this stays at 27.
    """

    # No key on the number alone: the planner would walk it backwards past every other group's commits.
    pk = models.CompositePrimaryKey("group_partition_id", "number")
    # No constraint: the fence has just locked the row.
    group_partition = models.ForeignKey(
        GroupPartition, on_delete=models.CASCADE, related_name="commits", db_index=False, db_constraint=False
    )
    number = models.BigIntegerField()  # from logs_commit_number: a later commit has a higher one
    committed = models.BigIntegerField()
    at = models.DateTimeField(db_default=Now())
    metadata = models.TextField(null=True)  # noqa: DJ001  the member's own note

    class Meta:
        ordering = ["group_partition_id", "-number"]

    def __str__(self) -> str:
        return f"{self.committed}"
