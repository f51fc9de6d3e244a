"""The admin inspects groups, offsets, members and resets. What has a preview leads to the group's own pages."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import BigIntegerField, F, Func, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import format_html

from logs import selectors, services
from logs.admin_pages import Looked, name_of
from logs.forms import DeleteOffsetsForm, GroupForm, NamedDeletionForm
from logs.models import Commit, ConsumerGroup, GroupPartition, Member, ParkedRecord, Reset
from mqsite.errors import MessagingError
from mqsite.payloads import as_text
from mqsite.words import say_count, say_counted, say_last_line, say_time

MOST_CHOSEN = 200  # offsets that an action takes to a page, in its address
MOST_KEY_CHARACTERS = 200
ONE_GROUP = "Choose offsets of one group: each group is paused and reset by itself."


@admin.register(ConsumerGroup)
class ConsumerGroupAdmin(Looked):
    """A superuser says where a group begins, and deletes it or its offsets on a topic."""

    form = GroupForm
    list_display = ["name", "owner", "auto_offset_reset", "paused", "page", "offsets"]
    list_filter = ["owner"]
    list_select_related = ["owner"]
    search_fields = ["name"]
    readonly_fields = ["name", "owner", "created_at", "paused"]
    fieldsets = [(None, {"fields": ["name", "owner", "created_at", "paused", "auto_offset_reset"]})]
    change_form_template = "admin/logs/change_group.html"
    actions = ["pause", "resume", "reset_offsets"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("logs.change_grouppartition")

    def get_fieldsets(self, request: HttpRequest, obj: ConsumerGroup | None = None) -> Any:
        why = [("Why", {"fields": ["reason"]})] if self.has_change_permission(request, obj) else []
        return [*super().get_fieldsets(request, obj), *why]

    def get_urls(self) -> list[Any]:
        own = [
            self.page_at("delete-offsets", self.delete_offsets),
            self.page_at("delete-group", self.delete_group),
        ]
        return [*own, *super().get_urls()]

    @admin.display(description="paused")
    def paused(self, group: ConsumerGroup) -> str:
        if group.paused_at is None:
            return "no"
        return f"by {group.paused_by} at {say_time(group.paused_at)}: {group.pause_reason}".rstrip(": ")

    @admin.display(description="progress")
    def page(self, group: ConsumerGroup) -> str:
        return format_html('<a href="{}">where it reads</a>', reverse("group", args=[group.name]))

    @admin.display(description="offsets")
    def offsets(self, group: ConsumerGroup) -> str:
        url = reverse("admin:logs_grouppartition_changelist")
        return format_html('<a href="{}?group__id__exact={}">offsets and lag</a>', url, group.pk)

    @admin.action(description="Pause…", permissions=["operate"])
    def pause(self, request: HttpRequest, rows: QuerySet[ConsumerGroup]) -> HttpResponse | None:
        return self._lead(request, rows, "group-pause")

    @admin.action(description="Reset offsets…", permissions=["operate"])
    def reset_offsets(self, request: HttpRequest, rows: QuerySet[ConsumerGroup]) -> HttpResponse | None:
        return self._lead(request, rows, "group-reset")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[ConsumerGroup]) -> None:
        for group in rows:
            services.resume_group(group.name, actor=name_of(request))
            self.message_user(request, f"Resumed: {group.name}.", messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: ConsumerGroup, form: Any, change: bool) -> None:
        given = form.cleaned_data
        start, reason = given["auto_offset_reset"], given["reason"]
        services.alter_group(obj.name, auto_offset_reset=start, actor=name_of(request), reason=reason)

    def delete_offsets(self, request: HttpRequest, pk: int) -> HttpResponse:
        group = self._require_group(request, pk)
        topics = {topic["name"]: topic for topic in selectors.describe_group(group.name)["topics"]}
        form = DeleteOffsetsForm(request.POST or None, topics=list(topics))

        def delete() -> str:
            topic, reason = form.cleaned_data["topic"], form.cleaned_data["reason"]
            services.delete_offsets(group.name, topic, actor=name_of(request), reason=reason)
            return f"Deleted: {group.name} has no offsets on {topic}, and does not read it any more."

        if form.is_valid() and self.do(request, form, delete):
            return redirect("admin:logs_consumergroup_change", pk)
        said = [
            f"{group.name} forgets where it is on a topic, and that it reads it. The records stay.",
            f"If it reads the topic again, it begins where its auto.offset.reset says: {group.auto_offset_reset}.",
        ]
        if not topics:
            said = [f"{group.name} reads no topic: there are no offsets to delete."]
        rows = [[name, say_count(len(topic["partitions"]))] for name, topic in topics.items()]
        table = {"head": ["Topic", "Partitions"], "rows": rows}
        title, button = f"Delete offsets of {group.name}", "Delete offsets" if topics else ""
        return self.ask(request, group, form, title, button=button, danger=True, said=said, **table)

    def delete_group(self, request: HttpRequest, pk: int) -> HttpResponse:
        group = self._require_group(request, pk)
        form = NamedDeletionForm(request.POST or None, kind="group", subject=group.name)

        def delete() -> str:
            services.delete_group(group.name, actor=name_of(request), reason=form.cleaned_data["reason"])
            return f"Deleted: {group.name}."

        if form.is_valid() and self.do(request, form, delete):
            return redirect("admin:logs_consumergroup_changelist")
        count = GroupPartition.objects.filter(group=group).count()
        said = [
            f"The offsets of {group.name} on {say_counted(count, 'partition')} will be gone, and its past resets.",
            "The records stay. Nothing is deleted while somebody reads for the group.",
        ]
        button = f"Delete {group.name}"
        return self.ask(request, group, form, f"Delete group {group.name}", button=button, said=said, danger=True)

    def _require_group(self, request: HttpRequest, pk: int) -> ConsumerGroup:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return get_object_or_404(ConsumerGroup, pk=pk)

    def _lead(self, request: HttpRequest, rows: QuerySet[ConsumerGroup], page: str) -> HttpResponse | None:
        if len(rows) == 1:
            return redirect(page, rows[0].name)
        self.message_user(request, "Choose one group: each is paused and reset by itself.", messages.ERROR)
        return None


@admin.register(GroupPartition)
class OffsetAdmin(Looked):
    """One row per group and partition: the committed offset, the lag, who reads; pause and reset are one click away."""

    list_display = [
        *("group", "topic", "number", "committed", "log_end", "lag", "reset_link"),
        *("paused", "owner", "epoch", "attempts"),
    ]
    list_display_links = None
    list_filter = ["group", "partition__topic"]
    list_select_related = ["group", "partition__topic"]
    search_fields = ["group__name", "partition__topic__name"]
    actions = ["reset_offsets", "pause", "resume"]

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

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return shown if self.has_change_permission(request) else [name for name in shown if name != "reset_link"]

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

    @admin.display(description="paused")
    def paused(self, row: GroupPartition) -> str:
        return "with its group" if row.group.paused_at else "by itself" if row.paused_at else ""

    @admin.display(description="reset")
    def reset_link(self, row: GroupPartition) -> str:
        return format_html('<a href="{}">Reset…</a>', _lead_to("group-reset", [row]))

    @admin.action(description="Reset offsets…", permissions=["change"])
    def reset_offsets(self, request: HttpRequest, rows: QuerySet[GroupPartition]) -> HttpResponse | None:
        return self._lead(request, rows, "group-reset")

    @admin.action(description="Pause…", permissions=["change"])
    def pause(self, request: HttpRequest, rows: QuerySet[GroupPartition]) -> HttpResponse | None:
        return self._lead(request, rows, "group-pause")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[GroupPartition]) -> None:
        """What was paused as part of its whole group goes on when that is resumed."""
        chosen: dict[tuple[str, str], list[int]] = {}
        for row in rows:
            chosen.setdefault((row.group.name, row.partition.topic.name), []).append(row.partition.number)
        for (group, topic), numbers in sorted(chosen.items()):
            try:
                services.resume_group(group, topic=topic, partitions=numbers, actor=name_of(request))
            except MessagingError as error:
                self.message_user(request, f"Not resumed: {error}", messages.ERROR)
                continue
            whole = selectors.require_group(group).paused_at is not None
            at = f"{topic}, {'partition' if len(numbers) == 1 else 'partitions'} {', '.join(map(str, sorted(numbers)))}"
            said = f"Resumed: {group} on {at}."
            if whole:
                said = f"All of {group} is still paused: resume the group to let it go on with {at}."
            self.message_user(request, said, messages.WARNING if whole else messages.SUCCESS)

    def _lead(self, request: HttpRequest, rows: QuerySet[GroupPartition], page: str) -> HttpResponse | None:
        chosen = list(rows[: MOST_CHOSEN + 1])
        if len({row.group_id for row in chosen}) != 1:
            self.message_user(request, ONE_GROUP, messages.ERROR)
        elif len(chosen) > MOST_CHOSEN:
            said = f"Choose at most {MOST_CHOSEN} offsets, or the whole group on its own page."
            self.message_user(request, said, messages.ERROR)
        else:
            return redirect(_lead_to(page, chosen))
        return None


@admin.register(Member)
class MemberAdmin(Looked):
    """Who reads for a group over a while, and when it was to be heard of."""

    list_display = ["name", "group", "is_static", "client", "topics", "epoch", "joined_at", "expires_at"]
    list_display_links = None
    list_filter = ["group"]
    list_select_related = ["group"]
    search_fields = ["name", "client", "group__name"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Reset)
class ResetAdmin(Looked):
    """Every reset: who, when, how and why."""

    list_display = ["at", "group", "actor", "said", "reason", "undoes"]
    list_display_links = None
    list_filter = ["group"]
    list_select_related = ["group", "undoes__group"]
    search_fields = ["group__name", "actor", "reason"]
    date_hierarchy = "at"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ParkedRecord)
class ParkedAdmin(Looked):
    """What groups have set aside, by group; tried again and dropped on the group's own page."""

    list_display = ["place", "group", "key_text", "reason", "error", "attempts", "parked_at", "asked"]
    list_display_links = None
    list_filter = ["group", "reason"]
    ordering = ["-id"]
    list_select_related = ["group"]
    search_fields = ["group__name", "topic"]
    actions = ["retry", "drop"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("logs.change_grouppartition")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ParkedRecord]:
        return super().get_queryset(request).defer("value", "headers")

    @admin.display(description="record")
    def place(self, row: ParkedRecord) -> str:
        return f"{row.topic}-{row.partition}@{row.offset}"

    @admin.display(description="key")
    def key_text(self, row: ParkedRecord) -> str:
        return (as_text(None if row.key is None else bytes(row.key)) or "")[:MOST_KEY_CHARACTERS]

    @admin.display(description="error")
    def error(self, row: ParkedRecord) -> str:
        return say_last_line(row.detail)

    @admin.display(description="to be tried again")
    def asked(self, row: ParkedRecord) -> str:
        return f"asked by {row.retry_asked_by}" if row.retry_asked_at else ""

    @admin.action(description="Retry…", permissions=["operate"])
    def retry(self, request: HttpRequest, rows: QuerySet[ParkedRecord]) -> HttpResponse | None:
        return self._lead(request, rows, "group-parked-retry")

    @admin.action(description="Drop…", permissions=["operate"])
    def drop(self, request: HttpRequest, rows: QuerySet[ParkedRecord]) -> HttpResponse | None:
        return self._lead(request, rows, "group-parked-drop")

    def _lead(self, request: HttpRequest, rows: QuerySet[ParkedRecord], page: str) -> HttpResponse | None:
        chosen = list(rows.values_list("id", "group__name")[: MOST_CHOSEN + 1])
        groups = {group for _, group in chosen}
        if len(groups) != 1 or len(chosen) > MOST_CHOSEN:
            said = f"Choose at most {MOST_CHOSEN} parked records, all of one group."
            self.message_user(request, said, messages.ERROR)
            return None
        asked = QueryDict("chosen=1", mutable=True)
        asked.setlist("id", [str(id_) for id_, _ in chosen])
        return redirect(f"{reverse(page, args=[groups.pop()])}?{asked.urlencode()}")


def _lead_to(page: str, rows: list[GroupPartition]) -> str:
    """A page of the group with these partitions chosen."""
    places = QueryDict(mutable=True)
    places.setlist("at", [f"{row.partition.topic.name}:{row.partition.number}" for row in rows])
    return f"{reverse(page, args=[rows[0].group.name])}?{places.urlencode()}"
