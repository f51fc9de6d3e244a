"""The admin inspects topics, groups and offsets, and resets offsets for replay."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import BigIntegerField, Count, F, Func, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join

from logs import declarations, selectors, services
from logs.configs import CONFIGS, read_configs
from logs.forms import (
    DeleteRecordsForm,
    DeleteTopicForm,
    PartitionsForm,
    PinnedDeletionForm,
    ResetForm,
    TopicForm,
)
from logs.keeping import draw_deletion, say_contents, say_retention, say_topic_deletion
from logs.models import Commit, ConsumerGroup, GroupPartition, Topic
from mqsite.errors import MessagingError
from mqsite.words import say_count, say_counted

SAID_OF_GROWTH = (
    "Keys move: a key's new records may go to another partition than its old ones.",
    "Groups that read the topic start at offset 0 of the new partitions.",
)


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
    """A topic with its configurations. A superuser alters it, lets it grow, and deletes records or all of it."""

    form = TopicForm
    list_display = ["name", "owner", "partition_count", "keeps", "description", "page"]
    list_filter = ["owner"]
    list_select_related = ["owner"]
    search_fields = ["name"]
    readonly_fields = ["name", "owner", "created_at", "holds", "keeps", "configurations"]
    change_form_template = "admin/logs/change_topic.html"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def get_queryset(self, request: HttpRequest) -> QuerySet[Topic]:
        return super().get_queryset(request).annotate(partition_total=Count("partitions"))

    def get_fieldsets(self, request: HttpRequest, obj: Topic | None = None) -> Any:
        facts = ["name", "owner", "created_at", "holds", "keeps", "description"]
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": [*facts, "configurations"]})]
        said = "Under Kafka's names. What is saved holds at once, for every publisher. An empty number is the default."
        fields = [config.field for config in CONFIGS.values()]
        return [
            (None, {"fields": facts}),
            ("Configurations", {"fields": fields, "description": said}),
            ("Why", {"fields": ["reason"]}),
        ]

    def get_urls(self) -> list[Any]:
        def at(verb: str, view: Any) -> Any:
            name = f"logs_topic_{verb}".replace("-", "_")
            return path(f"<int:pk>/{verb}/", self.admin_site.admin_view(view), name=name)

        return [
            at("add-partitions", self.add_partitions),
            at("delete-records", self.delete_records),
            at("delete-topic", self.delete_topic),
            *super().get_urls(),
        ]

    @admin.display(description="partitions", ordering="partition_total")
    def partition_count(self, topic: Any) -> int:
        return int(topic.partition_total)

    @admin.display(description="records")
    def page(self, topic: Topic) -> str:
        return format_html('<a href="{}">where each group reads</a>', reverse("topic", args=[topic.name]))

    @admin.display(description="keeps")
    def keeps(self, topic: Topic) -> str:
        return say_retention(read_configs(topic)).removeprefix("keeps ")

    @admin.display(description="holds")
    def holds(self, topic: Topic) -> str:
        return say_contents(selectors.describe_topic(topic.name))

    @admin.display
    def configurations(self, topic: Topic) -> str:
        return format_html_join("", "{} = {}<br>", read_configs(topic).items())

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except MessagingError as error:
            self.message_user(request, f"Not altered: {error}", messages.ERROR)
            return redirect("admin:logs_topic_changelist")

    def save_model(self, request: HttpRequest, obj: Topic, form: Any, change: bool) -> None:
        services.alter_topic(obj.name, actor=_name(request), reason=form.cleaned_data["reason"], **form.changes)

    def add_partitions(self, request: HttpRequest, pk: int) -> HttpResponse:
        topic = self._require_topic(request, pk)
        form = PartitionsForm(request.POST or None, initial={"total": topic["partition_count"] + 1})

        def add() -> str:
            total, reason = form.cleaned_data["total"], form.cleaned_data["reason"]
            said = services.add_partitions(topic["name"], total, actor=_name(request), reason=reason)
            return f"Added: {said}" if said else f"Nothing to add: {topic['name']} has {total} partitions already."

        if form.is_valid() and self._do(request, form, add):
            return redirect("admin:logs_topic_change", pk)
        said = [f"{topic['name']} has {say_counted(topic['partition_count'], 'partition')}.", *SAID_OF_GROWTH]
        return self._ask(request, pk, form, f"Add partitions to {topic['name']}", button="Add partitions", said=said)

    def delete_records(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First what would go, then the same again to confirm it: what was shown is what goes."""
        topic = self._require_topic(request, pk)
        pinned = PinnedDeletionForm(request.POST if "targets" in request.POST else None)

        def delete() -> str:
            targets, reason = pinned.cleaned_data["targets"], pinned.cleaned_data["reason"]
            starts = services.delete_records(topic["name"], targets, actor=_name(request), reason=reason)
            return f"Deleted: {say_counted(len(starts), 'partition')} of {topic['name']} begin later now."

        if pinned.is_valid() and self._do(request, pinned, delete):
            return redirect("admin:logs_topic_change", pk)
        form = DeleteRecordsForm(request.POST if "what" in request.POST else None)
        if form.is_valid():
            found = self._preview(form, topic)
            if found is not None:
                return self._confirm(request, pk, topic, found, form.cleaned_data["reason"])
        for error in pinned.non_field_errors():
            self.message_user(request, str(error), messages.ERROR)
        rows = [[say_count(p[end]) for end in ("number", "log_start", "log_end")] for p in topic["partitions"]]
        table = {"head": ["Partition", "Log start", "Log end"], "rows": rows}
        said = [f"{say_contents(topic)}. Nothing goes before you have seen what would."]
        return self._ask(
            request, pk, form, f"Delete records of {topic['name']}", button="See what would go", said=said, **table
        )

    def _preview(self, form: DeleteRecordsForm, topic: dict[str, Any]) -> dict[int, int] | None:
        try:
            return selectors.find_offsets(topic["name"], form.start, partitions=form.cleaned_data["partitions"])
        except MessagingError as error:
            form.add_error(None, str(error))
            return None

    def _confirm(
        self, request: HttpRequest, pk: int, topic: dict[str, Any], targets: dict[int, int], reason: str
    ) -> HttpResponse:
        drawn = draw_deletion(topic, targets)
        return self._ask(
            request,
            pk,
            PinnedDeletionForm(initial={"targets": drawn["targets"], "reason": reason}),
            f"Delete records of {topic['name']}",
            button=f"Delete {drawn['records']}" if drawn["count"] else "",
            danger=True,
            said=[drawn["said"], *drawn["unread"]],
            head=["Partition", "Log start", "Log end", "New log start", "Records that go"],
            rows=drawn["rows"],
        )

    def delete_topic(self, request: HttpRequest, pk: int) -> HttpResponse:
        topic = self._require_topic(request, pk)
        name = topic["name"]
        form = DeleteTopicForm(request.POST or None, topic=name)

        def delete() -> str:
            services.delete_topic(name, actor=_name(request), reason=form.cleaned_data["reason"])
            return f"Deleted: {name}."

        if form.is_valid() and self._do(request, form, delete):
            return redirect("admin:logs_topic_changelist")
        said = say_topic_deletion(topic, is_declared=declarations.topics.get(name) is not None)
        button = f"Delete {name} and {say_counted(topic['records'], 'record')}"
        return self._ask(request, pk, form, f"Delete topic {name}", button=button, said=said, danger=True)

    def _require_topic(self, request: HttpRequest, pk: int) -> dict[str, Any]:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return selectors.describe_topic(get_object_or_404(Topic, pk=pk).name)

    def _do(self, request: HttpRequest, form: Form, work: Callable[[], str]) -> bool:
        """Say what was done, or put the refusal on top of the form."""
        try:
            said = work()
        except MessagingError as error:
            form.add_error(None, str(error))
            return False
        self.message_user(request, said, messages.SUCCESS)
        return True

    def _ask(self, request: HttpRequest, pk: int, form: Form, title: str, **more: Any) -> HttpResponse:
        topic = Topic.objects.get(pk=pk)
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "topic": topic}
        return TemplateResponse(request, "admin/logs/ask.html", {**context, "form": form, **more})


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


def _name(request: HttpRequest) -> str:
    return request.user.get_username()
