"""Tables of the queue. Workflow lives in services, hot statements in sql/."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from mqsite.models import NAME_RULE, Boundary

LEASE_SECONDS = 30
MAX_RECEIVES = 5


class Queue(models.Model):
    """A named queue. Anyone sends to it, one boundary handles it."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=249, unique=True, validators=[NAME_RULE])
    owner = models.ForeignKey(Boundary, on_delete=models.PROTECT, related_name="queues")
    description = models.TextField(blank=True, default="")
    lease_seconds = models.PositiveIntegerField(default=LEASE_SECONDS)
    max_receives = models.PositiveSmallIntegerField(default=MAX_RECEIVES)
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
        DEAD = 4  # 3 is kept for what waits behind the head of its group key

    id = models.BigAutoField(primary_key=True)
    # No constraint: it would lock the queue row once more for each message. send.sql locks it once.
    queue = models.ForeignKey(Queue, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    state = models.SmallIntegerField(choices=State.choices)
    priority = models.SmallIntegerField(default=0)  # higher first
    # Order within the priority: the id when sent, a new one of the same sequence when it comes back.
    position = models.BigIntegerField()
    enqueued_at = models.DateTimeField(db_default=Now())
    receives = models.SmallIntegerField(db_default=0)
    lease_id = models.UUIDField(null=True)
    due_at = models.DateTimeField(null=True)  # since when it may be received; null: since it was sent
    group_key = models.TextField(null=True, db_collation="C")  # noqa: DJ001
    sender = models.TextField(blank=True, default="")
    content_type = models.TextField(null=True)  # noqa: DJ001
    headers = models.TextField(null=True)  # noqa: DJ001  [["name","value"],...], parsed by who needs it
    payload = models.BinaryField()
    reason = models.TextField(null=True)  # noqa: DJ001  why it came back, or died
    detail = models.TextField(null=True)  # noqa: DJ001  the error
    died_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["queue", "-priority", "position"], name="queues_ready", condition=models.Q(state=0)),
            # By queue first, so that the depth of one queue never reads past another's schedule.
            models.Index(fields=["queue", "due_at"], name="queues_due", condition=models.Q(state=2)),
            models.Index(fields=["queue", "position"], name="queues_dead", condition=models.Q(state=4)),
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
