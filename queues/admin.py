"""Admin of the queue: a superuser alters settings, an operator is led to the pages that say the numbers first. Nothing
is edited or deleted but by a service."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html

from mqsite.audit import MAX_REASON_CHARACTERS
from mqsite.errors import MessagingError
from mqsite.payloads import as_text
from mqsite.words import say_counted, say_time
from queues import listings, quota_admin, selectors, services
from queues.forms import QueueForm
from queues.models import Lease, Message, Outcome, PeriodicCommand, Queue, Redrive
from queues.queue_views import OPERATES
from queues.settings import SETTINGS

__all__ = ["QueueAdmin", "quota_admin"]

SHOWN_PAYLOAD_CHARACTERS = 2_000
MOST_CHOSEN = 200  # messages that an action takes to a page, in its address
ONE_QUEUE = "Choose messages of one queue: each queue is worked on by itself."


class BoundedPaginator(Paginator):
    """Counts no further than COUNT_LIMIT: a queue may hold millions."""

    @cached_property
    def count(self) -> int:
        found: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return found.order_by()[: selectors.COUNT_LIMIT].count()


class LookOnlyAdmin(admin.ModelAdmin):
    """Nothing is added, edited or deleted here."""

    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(OPERATES)


class QueueChangeList(ChangeList):
    """A page of queues with their counts, all from one look."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        counts = selectors.count_messages([queue.name for queue in self.result_list])
        for queue in self.result_list:
            queue.counts = counts[queue.name]


@admin.register(Queue)
class QueueAdmin(LookOnlyAdmin):
    """A superuser alters the settings; pausing, purging, redriving and deleting have pages of their own."""

    form = QueueForm
    list_display = ["name", "owner", "ready", "waiting", "leased", "scheduled", "dead", "stopped", "page"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__name"]
    readonly_fields = ["name", "owner", "created_at", "paused", "is_ordered"]
    fieldsets = [
        (None, {"fields": ["name", "owner", "created_at", "paused", "is_ordered", "description"]}),
        ("Settings", {"fields": [name for name in SETTINGS if name != "is_ordered"]}),
    ]
    change_form_template = "admin/queues/change_queue.html"
    actions = ["pause", "resume", "redrive", "purge"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def get_fieldsets(self, request: HttpRequest, obj: Queue | None = None) -> Any:
        why = [("Why", {"fields": ["reason"]})] if self.has_change_permission(request, obj) else []
        return [*super().get_fieldsets(request, obj), *why]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return QueueChangeList

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except MessagingError as refusal:
            self.message_user(request, f"Not altered: {refusal}", messages.ERROR)
            return redirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Queue, form: Any, change: bool) -> None:
        services.alter_queue(obj.name, actor=_name(request), reason=form.cleaned_data["reason"], **form.changes)

    @admin.display
    def scheduled(self, queue: Queue) -> str:
        return _say_count(queue, "scheduled")

    @admin.display
    def ready(self, queue: Queue) -> str:
        return _say_count(queue, "ready")

    @admin.display
    def waiting(self, queue: Queue) -> str:
        return _say_count(queue, "waiting")

    @admin.display
    def leased(self, queue: Queue) -> str:
        return _say_count(queue, "leased")

    @admin.display
    def dead(self, queue: Queue) -> str:
        return _say_count(queue, "dead")

    @admin.display(description="paused", empty_value="no")
    def stopped(self, queue: Queue) -> str | None:
        return f"by {queue.paused_by}" if queue.paused_at else None

    @admin.display(description="paused")
    def paused(self, queue: Queue) -> str:
        if queue.paused_at is None:
            return "no"
        return f"by {queue.paused_by} at {say_time(queue.paused_at)}: {queue.paused_reason}".rstrip(": ")

    @admin.display(description="page")
    def page(self, queue: Queue) -> str:
        return format_html('<a href="{}">lanes</a>', reverse("queue", args=[queue.name]))

    @admin.action(description="Pause…", permissions=["operate"])
    def pause(self, request: HttpRequest, rows: QuerySet[Queue]) -> HttpResponse | None:
        return self._lead(request, rows, "queue-pause")

    @admin.action(description="Redrive dead letters…", permissions=["operate"])
    def redrive(self, request: HttpRequest, rows: QuerySet[Queue]) -> HttpResponse | None:
        return self._lead(request, rows, "queue-redrive")

    @admin.action(description="Purge…", permissions=["operate"])
    def purge(self, request: HttpRequest, rows: QuerySet[Queue]) -> HttpResponse | None:
        return self._lead(request, rows, "queue-purge")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[Queue]) -> None:
        for queue in rows:
            services.resume_queue(queue.name, actor=_name(request))
            self.message_user(request, f"Resumed: {queue.name}.", messages.SUCCESS)

    def _lead(self, request: HttpRequest, rows: QuerySet[Queue], page: str) -> HttpResponse | None:
        if len(rows) == 1:
            return redirect(page, rows[0].name)
        self.message_user(request, "Choose one queue: each is worked on by itself.", messages.ERROR)
        return None


@admin.register(Message)
class MessageAdmin(LookOnlyAdmin):
    """Where an operator watches acknowledged messages vanish."""

    list_display = ["id", "queue", "state", "priority", "group_key", "receives", "enqueued_at", "due_at", "reason"]
    list_filter = ["state", "queue"]
    list_select_related = ["queue", "source"]
    actions = ["redrive", "cancel"]
    fieldsets = [
        (
            None,
            {
                "description": "To look at. A message changes by being received, redriven or cancelled.",
                "fields": ["queue", "page", "state", "priority", "position", "group_key", "dedup_id", "sender"],
            },
        ),
        ("When", {"fields": ["enqueued_at", "due_at", "expires_at", "receives", "lease_id"]}),
        ("Failures", {"fields": ["reason", "detail", "died_at", "source", "died_receives"]}),
        ("Content", {"fields": ["content_type", "headers", "payload_text"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).defer("payload", "detail", "headers")

    @admin.action(description="Redrive selected dead letters…", permissions=["operate"])
    def redrive(self, request: HttpRequest, chosen: QuerySet[Message]) -> HttpResponse | None:
        return self._lead(request, chosen, "queue-redrive")

    @admin.action(description="Cancel selected messages…", permissions=["operate"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Message]) -> HttpResponse | None:
        return self._lead(request, chosen, "queue-cancel")

    @admin.display(description="page")
    def page(self, message: Message) -> str:
        url = reverse("queue-message", args=[message.queue.name, message.id])
        return format_html('<a href="{}">where it is, payload, headers, error</a>', url)

    @admin.display(description="payload")
    def payload_text(self, message: Message) -> str:
        text = as_text(bytes(message.payload)) or ""
        cut = f"… {len(text):,} characters" if len(text) > SHOWN_PAYLOAD_CHARACTERS else ""
        return text[:SHOWN_PAYLOAD_CHARACTERS] + cut

    def _lead(self, request: HttpRequest, chosen: QuerySet[Message], page: str) -> HttpResponse | None:
        found = list(chosen.order_by("id").values_list("id", "queue__name")[: MOST_CHOSEN + 1])
        if len({queue for _, queue in found}) != 1:
            self.message_user(request, ONE_QUEUE, messages.ERROR)
        elif len(found) > MOST_CHOSEN:
            said = f"Choose at most {MOST_CHOSEN} messages, or work on the queue's own page."
            self.message_user(request, said, messages.ERROR)
        else:
            asked = urlencode({"id": [id_ for id_, _ in found]}, doseq=True)
            return redirect(f"{reverse(page, args=[found[0][1]])}?{asked}")
        return None


@admin.register(Lease)
class LeaseAdmin(LookOnlyAdmin):
    list_display = ["id", "queue", "holder", "expires_at", "messages_received"]
    list_filter = ["queue"]
    list_select_related = ["queue"]
    search_fields = ["holder"]

    @admin.display
    def messages_received(self, lease: Lease) -> int:
        return len(lease.message_ids)


@admin.register(Redrive)
class RedriveAdmin(LookOnlyAdmin):
    """Every job that gave dead letters another chance, with how far it came."""

    list_display = ["id", "queue", "to", "state", "moved", "letters", "rate", "started_by", "at"]
    list_filter = ["state"]
    search_fields = ["queue__name", "started_by"]
    list_select_related = ["queue", "target"]
    actions = ["cancel"]

    @admin.display(description="to", empty_value="where each died")
    def to(self, job: Redrive) -> Queue | None:
        return job.target

    @admin.display(description="a second", empty_value="no limit")
    def rate(self, job: Redrive) -> float | None:
        return job.rate_per_second

    @admin.display(description="started at", ordering="started_at")
    def at(self, job: Redrive) -> str:
        return say_time(job.started_at)

    @admin.action(description="Cancel…", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Redrive]) -> HttpResponse | None:
        if len(rows) == 1:
            return redirect("queue-cancel-redrive", rows[0].queue.name, rows[0].pk)
        self.message_user(request, "Choose one job: each is cancelled by itself.", messages.ERROR)
        return None


@admin.register(Outcome)
class OutcomeAdmin(LookOnlyAdmin):
    """What became of messages, for the time their queue says. Without payloads."""

    list_display = ["at", "queue", "message_id", "outcome", "by", "receives", "reason", "correlation_id"]
    list_display_links = None
    list_filter = ["queue"]
    list_select_related = ["queue"]
    search_fields = ["=message_id", "=correlation_id"]
    search_help_text = "A message's id, or a correlation id."


class ReasonForm(ActionForm):
    """Next to the action: why."""

    reason = forms.CharField(required=False, max_length=MAX_REASON_CHARACTERS)


@admin.register(PeriodicCommand)
class PeriodicAdmin(LookOnlyAdmin):
    """Schedules that code declares, with their last and next tick. An operator pauses and resumes them."""

    list_display = ["name", "queue", "crontab", "timezone", "missed", "last", "next", "stopped", "workers"]
    list_filter = ["missed", ("paused_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "queue"]
    actions = ["pause", "resume"]
    action_form = ReasonForm

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PeriodicChangeList

    @admin.display(description="last tick", ordering="last_tick", empty_value="none yet")
    def last(self, row: PeriodicCommand) -> str | None:
        return say_time(row.last_tick) if row.last_tick else None

    @admin.display(description="next tick", ordering="next_tick", empty_value="with a worker's next look")
    def next(self, row: PeriodicCommand) -> str | None:
        if row.paused_at is not None:
            return "when it resumes"
        return say_time(row.next_tick) if row.next_tick else None

    @admin.display(description="paused", empty_value="no")
    def stopped(self, row: PeriodicCommand) -> str | None:
        return f"by {row.paused_by}: {row.paused_reason}".rstrip(": ") if row.paused_at else None

    @admin.display(description="declared by", empty_value="no worker alive: nobody sends it")
    def workers(self, row: Any) -> str | None:
        declared_by = getattr(row, "declared_by", ())
        return say_counted(len(declared_by), "process", "processes") if declared_by else None

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, rows: QuerySet[PeriodicCommand]) -> None:
        self._each(request, rows, services.pause_periodic, "Paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, rows: QuerySet[PeriodicCommand]) -> None:
        self._each(request, rows, services.resume_periodic, "Resumed")

    def _each(self, request: HttpRequest, rows: QuerySet[PeriodicCommand], verb: Any, said: str) -> None:
        for row in rows:
            verb(row.name, actor=_name(request), reason=request.POST.get("reason", ""))
            self.message_user(request, f"{said}: {row.name}.", messages.SUCCESS)


class PeriodicChangeList(ChangeList):
    """A page of schedules with the processes that send them, from one look."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        alive = listings.find_declaring([(row.name, row.revision) for row in self.result_list])
        for row in self.result_list:
            row.declared_by = alive[row.name]


def _name(request: HttpRequest) -> str:
    return request.user.get_username()


def _say_count(queue: Any, state: str) -> str:
    count = queue.counts[state]
    return f"{count:,} or more" if count >= selectors.COUNT_LIMIT else f"{count:,}"
