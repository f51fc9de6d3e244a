"""Tables both halves share: who owns what, who may act for whom, what was done, who is alive."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

NAME_PATTERN = r"^[a-zA-Z0-9._-]+\Z"
NAME_RULE = RegexValidator(NAME_PATTERN, "Use 1 to 249 of a-z A-Z 0-9 . _ -")


class Boundary(models.Model):
    """A service that owns topics and queues."""

    name = models.CharField(max_length=249, unique=True, validators=[NAME_RULE])
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "boundaries"

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """Authenticates a boundary. Only a hash of the secret is kept."""

    boundary = models.ForeignKey(Boundary, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, help_text="What uses it.")
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["boundary__name", "name"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.boundary.name}"


class AuditEntry(models.Model):
    """Who did what, when, to what, and why. Never changed."""

    at = models.DateTimeField(db_default=Now(), db_index=True)
    actor = models.CharField(max_length=249)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=512)
    reason = models.TextField(blank=True, default="")
    facts = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.subject}"


class HandlerSlot(models.Model):
    """One of the calls of a handler that may run at the same time, taken by a worker that is heard of."""

    pk = models.CompositePrimaryKey("handler", "number")
    handler = models.CharField(max_length=1_000)
    number = models.IntegerField()
    token = models.UUIDField()
    worker = models.CharField(max_length=249)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.handler} {self.number}"


class HandlerRate(models.Model):
    """How many records or messages a handler may still get: a bucket that fills by its rate."""

    handler = models.CharField(max_length=1_000, primary_key=True)
    tokens = models.FloatField()
    at = models.DateTimeField()
    granted = models.FloatField()  # by the last statement, which answers it

    def __str__(self) -> str:
        return self.handler


class WorkerProcess(models.Model):
    """A process that consumes. It holds partitions and leases under its name while it is heard of."""

    name = models.CharField(max_length=249, primary_key=True)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    handles = ArrayField(models.CharField(max_length=600), default=list)  # "logs:billing:orders", "queues:bookings"
    working_on = ArrayField(models.CharField(max_length=600), default=list)
    handled = models.BigIntegerField(default=0)  # records and messages, since it started
    handled_last_minute = models.BigIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    failed_for = models.CharField(max_length=249, blank=True, default="")  # the boundary whose handler it was
    failed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "worker processes"

    def __str__(self) -> str:
        return self.name
