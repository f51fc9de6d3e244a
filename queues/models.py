"""Tables of the queue. Workflow lives in services, hot statements in sql/."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from mqsite.models import NAME_RULE, Boundary

LEASE_SECONDS = 30
MAX_RECEIVES = 5


class Queue(models.Model):
    """A named queue. Anyone sends to it, one boundary handles it. What may be set: settings.py."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=249, unique=True, validators=[NAME_RULE])
    owner = models.ForeignKey(Boundary, on_delete=models.PROTECT, related_name="queues")
    description = models.TextField(blank=True, default="")
    lease_seconds = models.PositiveIntegerField(default=LEASE_SECONDS)
    max_receives = models.PositiveSmallIntegerField(default=MAX_RECEIVES)
    # Null: they stay in the queue, as its dead.
    dead_letter_queue = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="sources")
    max_length = models.PositiveIntegerField(null=True)
    message_ttl_seconds = models.FloatField(null=True)
    dedup_seconds = models.PositiveIntegerField(default=300)
    is_ordered = models.BooleanField(default=False)
    backoff_seconds = models.FloatField(default=1.0)
    backoff_max_seconds = models.FloatField(default=300.0)
    backoff_jitter = models.FloatField(default=0.2)
    outcome_seconds = models.PositiveIntegerField(default=0)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=249, blank=True, default="")
    paused_reason = models.TextField(blank=True, default="")
    # Changes with every alteration. Random: a restored database may count to the same number twice.
    revision = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Message(models.Model):
    """One message, gone once it is acknowledged. What a lease changes stands before the payload."""

    class State(models.IntegerChoices):
        READY = 0
        LEASED = 1
        SCHEDULED = 2  # not before due_at
        WAITING = 3  # behind the head of its group key, in an ordered queue
        DEAD = 4
        STAGED = 5  # until its transaction commits, which decides where it stands and whether it is a duplicate

    id = models.BigAutoField(primary_key=True)
    # No constraint: it would lock the queue row once more for each message. queues_enter guards it.
    queue = models.ForeignKey(Queue, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    state = models.SmallIntegerField(choices=State.choices)
    priority = models.SmallIntegerField(default=0)  # higher first
    # Order within the priority: the id when sent, a new one of the same sequence when it comes back.
    position = models.BigIntegerField()
    enqueued_at = models.DateTimeField(db_default=Now())
    receives = models.SmallIntegerField(db_default=0)
    ordered = models.BooleanField(db_default=False)
    lease_id = models.UUIDField(null=True)
    due_at = models.DateTimeField(null=True)  # since when it may be received; null: since it was sent
    expires_at = models.DateTimeField(null=True)
    group_key = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    dedup_id = models.TextField(null=True)  # noqa: DJ001
    sender = models.TextField(blank=True, default="")
    content_type = models.TextField(null=True)  # noqa: DJ001
    headers = models.TextField(null=True)  # noqa: DJ001  [["name","value"],...], parsed by who needs it
    payload = models.BinaryField()
    reason = models.TextField(null=True)  # noqa: DJ001  why it came back, or died
    detail = models.TextField(null=True)  # noqa: DJ001  the error
    died_at = models.DateTimeField(null=True)
    # The queue it died in, where that is another one, and after how many receives there.
    source = models.ForeignKey(
        Queue, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    died_receives = models.SmallIntegerField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["queue", "-priority", "position"], name="queues_ready", condition=models.Q(state=0)),
            # By queue first, so that the depth of one queue never reads past another's schedule.
            models.Index(fields=["queue", "due_at"], name="queues_due", condition=models.Q(state=2)),
            models.Index(fields=["queue", "position"], name="queues_dead", condition=models.Q(state=4)),
            # Dead letters of other queues, ready in their dead-letter queue.
            models.Index(
                fields=["queue", "position"], name="queues_letters", condition=models.Q(state=0, source__isnull=False)
            ),
            models.Index(
                fields=["expires_at"],
                name="queues_expiry",
                condition=models.Q(expires_at__isnull=False, state__in=(0, 2, 3)),
            ),
            models.Index(fields=["queue", "group_key", "position"], name="queues_waiting", condition=models.Q(state=3)),
        ]
        constraints = [
            # The second guard of order: a key has one head. The first are the key locks.
            models.UniqueConstraint(
                fields=["queue", "group_key"], name="queues_head", condition=models.Q(ordered=True, state__in=(0, 1, 2))
            )
        ]

    def __str__(self) -> str:
        return str(self.id)


class Lease(models.Model):
    """The one fence: the right of a holder to the messages of one receive, until it expires.

    `message_ids` never changes; the messages that still carry the lease's id are what is left of it.
    """

    id = models.UUIDField(primary_key=True)
    queue = models.ForeignKey(Queue, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    holder = models.CharField(max_length=249)
    expires_at = models.DateTimeField(db_index=True)
    message_ids = ArrayField(models.BigIntegerField())

    class Meta:
        ordering = ["id"]  # uuidv7: the oldest first

    def __str__(self) -> str:
        return str(self.id)


class Dedup(models.Model):
    """Which message a deduplication id stands for, until it is forgotten."""

    pk = models.CompositePrimaryKey("queue_id", "dedup_id")
    queue = models.ForeignKey(Queue, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    dedup_id = models.TextField(db_collation="C")
    message_id = models.BigIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.dedup_id


class Handling(models.Model):
    """What a worker has in hand in a transaction of its own, written down beside it: should the process die of a
    message, the message is charged for it. Part of the heartbeat; one row for each thread that handles."""

    id = models.TextField(primary_key=True)
    worker = models.CharField(max_length=249)
    seen_at = models.DateTimeField()
    message_ids = ArrayField(models.BigIntegerField())
    receives = ArrayField(models.SmallIntegerField())  # as they were: who has another number by now is charged already

    def __str__(self) -> str:
        return self.id


class Redrive(models.Model):
    """A job that gives dead letters another chance, step by step: each step moves messages and this row's cursor in
    one transaction. Letters that die after it began are not its business."""

    class State(models.IntegerChoices):
        RUNNING = 0
        DONE = 1
        CANCELLED = 2

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="redrives")
    target = models.ForeignKey(Queue, on_delete=models.CASCADE, null=True, related_name="+")  # null: where each died
    state = models.SmallIntegerField(choices=State.choices, default=State.RUNNING)
    ids = ArrayField(models.BigIntegerField(), null=True)
    only_reason = models.TextField(null=True)  # noqa: DJ001
    only_text = models.TextField(null=True)  # noqa: DJ001
    died_after = models.DateTimeField(null=True)
    died_before = models.DateTimeField(null=True)
    rate_per_second = models.FloatField(null=True)
    letters = models.BigIntegerField()  # there were when it began, counted up to a limit
    end_position = models.BigIntegerField()
    after_position = models.BigIntegerField(default=0)
    scanned = models.BigIntegerField(default=0)
    moved = models.BigIntegerField(default=0)
    started_by = models.CharField(max_length=249)
    started_at = models.DateTimeField(db_default=Now())
    worked_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["id"], name="queues_redrive_running", condition=models.Q(state=0))]

    def __str__(self) -> str:
        return str(self.id)


class Reply(models.Model):
    """What the handler of a request answered, or why it died. Kept for a while after its time."""

    request = models.UUIDField(primary_key=True)
    is_error = models.BooleanField()
    content_type = models.TextField(null=True)  # noqa: DJ001
    value = models.BinaryField(null=True)
    error = models.TextField()
    at = models.DateTimeField()
    keep_until = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "replies"

    def __str__(self) -> str:
        return str(self.request)


class Quota(models.Model):
    """How much a boundary may have standing of what it sent, and send a second. What is used is counted again now and
    then, and meanwhile what is sent is added."""

    boundary = models.OneToOneField(Boundary, on_delete=models.CASCADE, related_name="+")
    max_messages = models.BigIntegerField(null=True, blank=True)
    max_bytes = models.BigIntegerField(null=True, blank=True)
    max_per_second = models.FloatField(null=True, blank=True)
    used_messages = models.BigIntegerField(default=0)
    used_bytes = models.BigIntegerField(default=0)
    counted_at = models.DateTimeField(null=True)
    counting_seconds = models.FloatField(default=0)  # how long that took
    tokens = models.FloatField(default=0)  # of the rate
    tokens_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["boundary__name"]

    def __str__(self) -> str:
        return f"quota of {self.boundary.name}"


class Outcome(models.Model):
    """What became of a message, for the time its queue says. Without its payload."""

    queue = models.ForeignKey(Queue, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    message_id = models.BigIntegerField()
    correlation_id = models.TextField(null=True)  # noqa: DJ001
    outcome = models.TextField()  # acked, died, expired or cancelled
    by = models.TextField(blank=True, default="")  # who acknowledged or cancelled it
    receives = models.SmallIntegerField()
    reason = models.TextField(blank=True, default="")  # why it died
    at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["queue", "message_id"], name="queues_outcome_message"),
            models.Index(
                fields=["queue", "correlation_id"],
                name="queues_outcome_correlation",
                condition=models.Q(correlation_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} {self.outcome}"


class PeriodicCommand(models.Model):
    """A declared schedule: what it goes by, and how far it is. Its lock is the right to send its ticks."""

    name = models.CharField(max_length=249, primary_key=True)
    queue = models.CharField(max_length=249)
    crontab = models.TextField()
    timezone = models.TextField()
    missed = models.TextField()
    grace_seconds = models.FloatField()
    revision = models.TextField()  # of the declaration that the columns above show
    next_tick = models.DateTimeField(null=True)  # null: the first after the next look of a worker
    last_tick = models.DateTimeField(null=True)  # for which a message was sent
    sent_at = models.DateTimeField(null=True)
    message_id = models.BigIntegerField(null=True)
    undeclared_since = models.DateTimeField(null=True)  # no live process declares it
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=249, blank=True, default="")
    paused_reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
