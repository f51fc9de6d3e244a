"""What ties a topic to a queue."""

from django.db import models
from django.db.models.functions import Now


class Binding(models.Model):
    """Records of a topic that match become messages of a queue. Names, not keys: neither half knows of the other, and
    a binding whose topic or queue is gone says so until somebody removes it."""

    name = models.CharField(max_length=249, unique=True)  # and that of the consumer group that reads for it
    topic = models.CharField(max_length=249)
    queue = models.CharField(max_length=249)
    owner = models.CharField(max_length=249)  # the queue's, as it was
    match_type = models.CharField(max_length=249, blank=True, default="")  # of the header ce_type or type; "": any
    match_headers = models.JSONField(default=dict, blank=True)  # name to value; all must be there
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=249)
    removed_by = models.CharField(max_length=249, blank=True, default="")  # then it waits for its workers to let go
    removed_reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
