"""Admin of the queue: to look at, not to edit. What changes something goes through a service."""

from collections import defaultdict
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from mqsite.payloads import as_text
from queues import selectors, services
from queues.models import Lease, Message, Queue

SHOWN_PAYLOAD_CHARACTERS = 2_000


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
    list_display = ["name", "owner", "scheduled", "ready", "leased", "dead", "lease_seconds", "max_receives"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__name"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return QueueChangeList

    @admin.display
    def scheduled(self, queue: Queue) -> str:
        return _say_count(queue, "scheduled")

    @admin.display
    def ready(self, queue: Queue) -> str:
        return _say_count(queue, "ready")

    @admin.display
    def leased(self, queue: Queue) -> str:
        return _say_count(queue, "leased")

    @admin.display
    def dead(self, queue: Queue) -> str:
        return _say_count(queue, "dead")


@admin.register(Message)
class MessageAdmin(LookOnlyAdmin):
    """Where an operator watches acknowledged messages vanish."""

    list_display = ["id", "queue", "state", "priority", "group_key", "receives", "enqueued_at", "due_at", "reason"]
    list_filter = ["state", "queue"]
    list_select_related = ["queue"]
    actions = ["redrive"]
    fields = [
        *("queue", "state", "priority", "position", "group_key", "sender", "enqueued_at", "due_at"),
        *("receives", "lease_id", "reason", "detail", "died_at", "content_type", "headers", "payload_text"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).defer("payload", "detail")

    def has_redrive_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("queues.change_message")

    @admin.action(description="Redrive selected dead letters", permissions=["redrive"])
    def redrive(self, request: HttpRequest, chosen: QuerySet[Message]) -> None:
        by_queue: dict[str, list[int]] = defaultdict(list)
        for id_, queue in chosen.filter(state=Message.State.DEAD).values_list("id", "queue__name"):
            by_queue[queue].append(id_)
        actor = request.user.get_username()
        redriven = sum(services.redrive(queue, ids=ids, actor=actor) for queue, ids in by_queue.items())
        self.message_user(request, f"{redriven} of the selected messages are ready again.", messages.SUCCESS)

    @admin.display(description="payload")
    def payload_text(self, message: Message) -> str:
        text = as_text(bytes(message.payload)) or ""
        cut = f"… {len(text):,} characters" if len(text) > SHOWN_PAYLOAD_CHARACTERS else ""
        return text[:SHOWN_PAYLOAD_CHARACTERS] + cut


@admin.register(Lease)
class LeaseAdmin(LookOnlyAdmin):
    list_display = ["id", "queue", "holder", "expires_at", "messages_received"]
    list_filter = ["queue"]
    list_select_related = ["queue"]

    @admin.display
    def messages_received(self, lease: Lease) -> int:
        return len(lease.message_ids)


def _say_count(queue: Any, state: str) -> str:
    count = queue.counts[state]
    return f"{count:,} or more" if count >= selectors.COUNT_LIMIT else f"{count:,}"
