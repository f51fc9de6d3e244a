import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from mqsite.sql import function_files

# The new version of a leased row fits on its page, so that WAL holds the changed bytes and not the
# payload: 1,622 instead of 2,700 bytes for 1 KB. Vacuum by count and at full speed; never truncate,
# which would lock everybody out.
STORAGE = [
    "ALTER TABLE queues_message SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02,"
    " autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,"
    " autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off)",
    "ALTER TABLE queues_lease SET (fillfactor = 50, vacuum_truncate = off)",
]
DROP = "DROP FUNCTION IF EXISTS queues_depth, queues_receive, queues_read_committed"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("mqsite", "0001_initial"),
    ]

    operations = [
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
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
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
                (
                    "queue",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="queues.queue",
                    ),
                ),
                ("holder", models.CharField(max_length=249)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "message_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
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
                    "state",
                    models.SmallIntegerField(choices=[(0, "Ready"), (1, "Leased"), (2, "Scheduled"), (4, "Dead")]),
                ),
                ("priority", models.SmallIntegerField(default=0)),
                ("position", models.BigIntegerField()),
                ("enqueued_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("receives", models.SmallIntegerField(db_default=0)),
                ("lease_id", models.UUIDField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                ("group_key", models.TextField(db_collation="C", null=True)),
                ("sender", models.TextField(blank=True, default="")),
                ("content_type", models.TextField(null=True)),
                ("headers", models.TextField(null=True)),
                ("payload", models.BinaryField()),
                ("reason", models.TextField(null=True)),
                ("detail", models.TextField(null=True)),
                ("died_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", 0)), fields=["queue", "-priority", "position"], name="queues_ready"
                    ),
                    models.Index(condition=models.Q(("state", 2)), fields=["queue", "due_at"], name="queues_due"),
                    models.Index(condition=models.Q(("state", 4)), fields=["queue", "position"], name="queues_dead"),
                ],
            },
        ),
        *(migrations.RunSQL(sql, migrations.RunSQL.noop) for sql in STORAGE),
        *(migrations.RunSQL(sql, DROP) for sql in function_files("queues")),
    ]
