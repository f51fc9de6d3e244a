import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from mqsite.sql import function_files

# The new version of most leased rows fits on their page, so that WAL holds the changed bytes and not the payload: 1,900
# instead of 2,700 bytes for 1 KB. At 50 it were 1,640, but each send fills a sixth more pages. Vacuum by count and at full speed; never truncate,
# which would lock everybody out.
STORAGE = [
    "ALTER TABLE queues_message SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02,"
    " autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,"
    " autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off)",
    "ALTER TABLE queues_lease SET (fillfactor = 50, vacuum_truncate = off)",
]
DROP = "DROP TABLE IF EXISTS queues_intent; DROP FUNCTION IF EXISTS queues_answer, queues_find_letters, queues_is_staying, queues_json, queues_request, queues_share, queues_spend, queues_search, queues_depth, queues_arrived, queues_heads, queues_take, queues_receive, queues_charge, queues_reap, queues_redrive_step, queues_revive, queues_choose, queues_retire, queues_return, queues_ack, queues_send_ready, queues_send, queues_record, queues_correlation, queues_commit, queues_place, queues_recall, queues_remember, queues_end_heads, queues_raise_heads, queues_lock_keys, queues_relax, queues_enter"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("mqsite", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Handling",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("worker", models.CharField(max_length=249)),
                ("seen_at", models.DateTimeField()),
                (
                    "message_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "receives",
                    django.contrib.postgres.fields.ArrayField(base_field=models.SmallIntegerField(), size=None),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Queue",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                (
                    "name",
                    models.CharField(
                        max_length=249,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-zA-Z0-9._-]+\\Z", "Use 1 to 249 of a-z A-Z 0-9 . _ -"
                            )
                        ],
                    ),
                ),
                ("description", models.TextField(blank=True, default="")),
                ("lease_seconds", models.PositiveIntegerField(default=30)),
                ("max_receives", models.PositiveSmallIntegerField(default=5)),
                ("max_length", models.PositiveIntegerField(null=True)),
                ("message_ttl_seconds", models.FloatField(null=True)),
                ("dedup_seconds", models.PositiveIntegerField(default=300)),
                ("is_ordered", models.BooleanField(default=False)),
                ("backoff_seconds", models.FloatField(default=1.0)),
                ("backoff_max_seconds", models.FloatField(default=300.0)),
                ("backoff_jitter", models.FloatField(default=0.2)),
                ("outcome_seconds", models.PositiveIntegerField(default=0)),
                ("paused_at", models.DateTimeField(null=True)),
                ("paused_by", models.CharField(blank=True, default="", max_length=249)),
                ("paused_reason", models.TextField(blank=True, default="")),
                ("revision", models.UUIDField(default=uuid.uuid4, editable=False)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "dead_letter_queue",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sources",
                        to="queues.queue",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="queues", to="mqsite.boundary"
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Lease",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=249)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "message_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="queues.queue",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Dedup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "queue_id", "dedup_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("dedup_id", models.TextField(db_collation="C")),
                ("message_id", models.BigIntegerField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "queue",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="queues.queue",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Quota",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("max_messages", models.BigIntegerField(blank=True, null=True)),
                ("max_bytes", models.BigIntegerField(blank=True, null=True)),
                ("max_per_second", models.FloatField(blank=True, null=True)),
                ("used_messages", models.BigIntegerField(default=0)),
                ("used_bytes", models.BigIntegerField(default=0)),
                ("counted_at", models.DateTimeField(null=True)),
                ("counting_seconds", models.FloatField(default=0)),
                ("tokens", models.FloatField(default=0)),
                ("tokens_at", models.DateTimeField(null=True)),
                (
                    "boundary",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="mqsite.boundary"
                    ),
                ),
            ],
            options={"ordering": ["boundary__name"]},
        ),
        migrations.CreateModel(
            name="Reply",
            fields=[
                ("request", models.UUIDField(primary_key=True, serialize=False)),
                ("is_error", models.BooleanField()),
                ("content_type", models.TextField(null=True)),
                ("value", models.BinaryField(null=True)),
                ("error", models.TextField()),
                ("at", models.DateTimeField()),
                ("keep_until", models.DateTimeField(db_index=True)),
            ],
            options={"verbose_name_plural": "replies"},
        ),
        migrations.CreateModel(
            name="Outcome",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("message_id", models.BigIntegerField()),
                ("correlation_id", models.TextField(null=True)),
                ("outcome", models.TextField()),
                ("by", models.TextField(blank=True, default="")),
                ("receives", models.SmallIntegerField()),
                ("reason", models.TextField(blank=True, default="")),
                ("at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "queue",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="queues.queue",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["queue", "message_id"], name="queues_outcome_message"),
                    models.Index(
                        condition=models.Q(("correlation_id__isnull", False)),
                        fields=["queue", "correlation_id"],
                        name="queues_outcome_correlation",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "state",
                    models.SmallIntegerField(
                        choices=[
                            (0, "Ready"),
                            (1, "Leased"),
                            (2, "Scheduled"),
                            (3, "Waiting"),
                            (4, "Dead"),
                            (5, "Staged"),
                        ]
                    ),
                ),
                ("priority", models.SmallIntegerField(default=0)),
                ("position", models.BigIntegerField()),
                ("enqueued_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("receives", models.SmallIntegerField(db_default=0)),
                ("ordered", models.BooleanField(db_default=False)),
                ("lease_id", models.UUIDField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("group_key", models.TextField(db_collation="C", null=True)),
                ("dedup_id", models.TextField(null=True)),
                ("sender", models.TextField(blank=True, default="")),
                ("content_type", models.TextField(null=True)),
                ("headers", models.TextField(null=True)),
                ("payload", models.BinaryField()),
                ("reason", models.TextField(null=True)),
                ("detail", models.TextField(null=True)),
                ("died_at", models.DateTimeField(null=True)),
                ("died_receives", models.SmallIntegerField(null=True)),
                (
                    "queue",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="queues.queue",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="queues.queue",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", 0)), fields=["queue", "-priority", "position"], name="queues_ready"
                    ),
                    models.Index(condition=models.Q(("state", 2)), fields=["queue", "due_at"], name="queues_due"),
                    models.Index(condition=models.Q(("state", 4)), fields=["queue", "position"], name="queues_dead"),
                    models.Index(
                        condition=models.Q(("source__isnull", False), ("state", 0)),
                        fields=["queue", "position"],
                        name="queues_letters",
                    ),
                    models.Index(
                        condition=models.Q(("expires_at__isnull", False), ("state__in", (0, 2, 3))),
                        fields=["expires_at"],
                        name="queues_expiry",
                    ),
                    models.Index(
                        condition=models.Q(("state", 3)),
                        fields=["queue", "group_key", "position"],
                        name="queues_waiting",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ordered", True), ("state__in", (0, 1, 2))),
                        fields=("queue", "group_key"),
                        name="queues_head",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Redrive",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("state", models.SmallIntegerField(choices=[(0, "Running"), (1, "Done"), (2, "Cancelled")], default=0)),
                (
                    "ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), null=True, size=None
                    ),
                ),
                ("only_reason", models.TextField(null=True)),
                ("only_text", models.TextField(null=True)),
                ("died_after", models.DateTimeField(null=True)),
                ("died_before", models.DateTimeField(null=True)),
                ("rate_per_second", models.FloatField(null=True)),
                ("letters", models.BigIntegerField()),
                ("end_position", models.BigIntegerField()),
                ("after_position", models.BigIntegerField(default=0)),
                ("scanned", models.BigIntegerField(default=0)),
                ("moved", models.BigIntegerField(default=0)),
                ("started_by", models.CharField(max_length=249)),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("worked_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "queue",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="redrives", to="queues.queue"
                    ),
                ),
                (
                    "target",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="queues.queue"
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(condition=models.Q(("state", 0)), fields=["id"], name="queues_redrive_running")
                ],
            },
        ),
        migrations.CreateModel(
            name="PeriodicCommand",
            fields=[
                ("name", models.CharField(max_length=249, primary_key=True, serialize=False)),
                ("queue", models.CharField(max_length=249)),
                ("crontab", models.TextField()),
                ("timezone", models.TextField()),
                ("missed", models.TextField()),
                ("grace_seconds", models.FloatField()),
                ("revision", models.TextField()),
                ("next_tick", models.DateTimeField(null=True)),
                ("last_tick", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("message_id", models.BigIntegerField(null=True)),
                ("undeclared_since", models.DateTimeField(null=True)),
                ("paused_at", models.DateTimeField(null=True)),
                ("paused_by", models.CharField(blank=True, default="", max_length=249)),
                ("paused_reason", models.TextField(blank=True, default="")),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        *(migrations.RunSQL(sql, migrations.RunSQL.noop) for sql in STORAGE),
        *(migrations.RunSQL(sql, DROP) for sql in function_files("queues")),
    ]
