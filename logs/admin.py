"""The admin inspects topics, groups and offsets, and resets offsets for replay."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import BigIntegerField, Count, F, Func, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from logs import services
from logs.configs import CONFIGS
from logs.forms import ResetForm
from logs.models import Commit, ConsumerGroup, GroupPartition, Topic
from mqsite.errors import MessagingError


class _Looked(admin.ModelAdmin):
    """Rows that only services make, change and delete."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Topic)
class TopicAdmin(_Looked):
    list_display = ["name", "owner", "partition_count", "description", "page"]
    list_filter = ["owner"]
    search_fields = ["name"]
    readonly_fields = ["name", "owner", *(config.field for config in CONFIGS.values()), "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Topic]:
        return super().get_queryset(request).annotate(partition_total=Count("partitions"))

    @admin.display(description="partitions", ordering="partition_total")
    def partition_count(self, topic: Any) -> int:
        return int(topic.partition_total)

    @admin.display(description="records")
    def page(self, topic: Topic) -> str:
        return format_html('<a href="{}">where each group reads</a>', reverse("topic", args=[topic.name]))


@admin.register(ConsumerGroup)
class ConsumerGroupAdmin(_Looked):
    list_display = ["name", "owner", "start_at", "offsets"]
    list_filter = ["owner"]
    search_fields = ["name"]
    readonly_fields = ["name", "owner", "start_at", "created_at"]

    @admin.display(description="offsets")
    def offsets(self, group: ConsumerGroup) -> str:
        url = reverse("admin:logs_grouppartition_changelist")
        return format_html('<a href="{}?group__id__exact={}">offsets and lag</a>', url, group.pk)


@admin.register(GroupPartition)
class OffsetAdmin(_Looked):
    """One row per group and partition: the committed offset, the lag, who reads. Reset is an action."""

    list_display = ["group", "topic", "number", "committed", "log_end", "lag", "owner", "epoch", "attempts"]
    list_display_links = None
    list_filter = ["group", "partition__topic"]
    list_select_related = ["group", "partition__topic"]
    search_fields = ["group__name", "partition__topic__name"]
    actions = ["reset_offsets"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[GroupPartition]:
        newest = Commit.objects.filter(group_partition=OuterRef("pk")).order_by("-number").values("committed")[:1]
        start = F("partition__log_start")
        return (
            super()
            .get_queryset(request)
            .annotate(newest=Subquery(newest))
            .annotate(end=Func("partition_id", function="logs_log_end", output_field=BigIntegerField()))
            .annotate(behind=F("end") - Greatest(Coalesce(F("newest"), start), start))
        )

    @admin.display(ordering="partition__topic__name")
    def topic(self, row: GroupPartition) -> str:
        return row.partition.topic.name

    @admin.display(description="partition", ordering="partition__number")
    def number(self, row: GroupPartition) -> int:
        return row.partition.number

    @admin.display(description="committed", ordering="newest", empty_value="not started")
    def committed(self, row: Any) -> int | None:
        newest: int | None = row.newest
        return newest

    @admin.display(description="log end", ordering="end")
    def log_end(self, row: Any) -> int:
        return int(row.end)

    @admin.display(description="records behind", ordering="behind")
    def lag(self, row: Any) -> str:
        return str(row.behind) if row.behind else "caught up"

    @admin.action(description="Reset offsets…", permissions=["change"])
    def reset_offsets(self, request: HttpRequest, rows: QuerySet[GroupPartition]) -> HttpResponse | None:
        form = ResetForm(request.POST if "apply" in request.POST else None)
        chosen = list(rows.order_by("group__name", "partition__topic__name", "partition__number"))
        if form.is_valid():
            self._apply(request, form, chosen)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Reset offsets",
            "opts": self.opts,
            "form": form,
            "rows": chosen,
        }
        return TemplateResponse(request, "admin/logs/reset_offsets.html", context)

    def _apply(self, request: HttpRequest, form: ResetForm, rows: list[GroupPartition]) -> None:
        for group, topic in sorted({(row.group.name, row.partition.topic.name) for row in rows}):
            numbers = [r.partition.number for r in rows if (r.group.name, r.partition.topic.name) == (group, topic)]
            try:
                services.reset_offsets(
                    group,
                    form.target,
                    topic=topic,
                    partitions=numbers,
                    actor=request.user.get_username(),
                    reason=form.cleaned_data["reason"],
                )
            except MessagingError as error:
                self.message_user(request, f"Not reset: {error}", messages.ERROR)
            else:
                at = ", ".join(map(str, numbers))
                said = f"Reset: {group} goes on from {form.target} on {topic}, partitions {at}."
                self.message_user(request, said, messages.SUCCESS)
