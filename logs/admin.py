"""The admin inspects and alters topics. Groups, offsets, members and resets: `group_admin.py`."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from logs import declarations, group_admin, selectors, services
from logs.admin_pages import Looked, name_of
from logs.configs import CONFIGS, read_configs
from logs.forms import DeleteRecordsForm, NamedDeletionForm, PartitionsForm, PinnedDeletionForm, TopicForm
from logs.keeping import draw_deletion, say_contents, say_retention, say_topic_deletion
from logs.models import Topic
from mqsite.errors import MessagingError
from mqsite.words import say_count, say_counted

__all__ = ["TopicAdmin", "group_admin"]

SAID_OF_GROWTH = (
    "Keys move: a key's new records may go to another partition than its old ones.",
    "Groups that read the topic start at offset 0 of the new partitions.",
)


@admin.register(Topic)
class TopicAdmin(Looked):
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
        return [
            self.page_at("add-partitions", self.add_partitions),
            self.page_at("delete-records", self.delete_records),
            self.page_at("delete-topic", self.delete_topic),
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
        services.alter_topic(obj.name, actor=name_of(request), reason=form.cleaned_data["reason"], **form.changes)

    def add_partitions(self, request: HttpRequest, pk: int) -> HttpResponse:
        topic = self._require_topic(request, pk)
        form = PartitionsForm(request.POST or None, initial={"total": topic["partition_count"] + 1})

        def add() -> str:
            total, reason = form.cleaned_data["total"], form.cleaned_data["reason"]
            said = services.add_partitions(topic["name"], total, actor=name_of(request), reason=reason)
            return f"Added: {said}" if said else f"Nothing to add: {topic['name']} has {total} partitions already."

        if form.is_valid() and self.do(request, form, add):
            return redirect("admin:logs_topic_change", pk)
        said = [f"{topic['name']} has {say_counted(topic['partition_count'], 'partition')}.", *SAID_OF_GROWTH]
        return self.ask(
            request, self._row(pk), form, f"Add partitions to {topic['name']}", button="Add partitions", said=said
        )

    def delete_records(self, request: HttpRequest, pk: int) -> HttpResponse:
        """First what would go, then the same again to confirm it: what was shown is what goes."""
        topic = self._require_topic(request, pk)
        pinned = PinnedDeletionForm(request.POST if "targets" in request.POST else None)

        def delete() -> str:
            targets, reason = pinned.cleaned_data["targets"], pinned.cleaned_data["reason"]
            starts = services.delete_records(topic["name"], targets, actor=name_of(request), reason=reason)
            return f"Deleted: {say_counted(len(starts), 'partition')} of {topic['name']} begin later now."

        if pinned.is_valid() and self.do(request, pinned, delete):
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
        return self.ask(
            request,
            self._row(pk),
            form,
            f"Delete records of {topic['name']}",
            button="See what would go",
            said=said,
            **table,
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
        return self.ask(
            request,
            self._row(pk),
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
        form = NamedDeletionForm(request.POST or None, kind="topic", subject=name)

        def delete() -> str:
            services.delete_topic(name, actor=name_of(request), reason=form.cleaned_data["reason"])
            return f"Deleted: {name}."

        if form.is_valid() and self.do(request, form, delete):
            return redirect("admin:logs_topic_changelist")
        said = say_topic_deletion(topic, is_declared=declarations.topics.get(name) is not None)
        button = f"Delete {name} and {say_counted(topic['records'], 'record')}"
        return self.ask(request, self._row(pk), form, f"Delete topic {name}", button=button, said=said, danger=True)

    def _require_topic(self, request: HttpRequest, pk: int) -> dict[str, Any]:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return selectors.describe_topic(get_object_or_404(Topic, pk=pk).name)

    def _row(self, pk: int) -> Topic:
        return Topic.objects.get(pk=pk)
