"""The admin of what both halves share: boundaries, their keys, the audit, the workers."""

from typing import Any

from django.contrib import admin, messages
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from mqsite.boundaries import issue_api_key
from mqsite.models import ApiKey, AuditEntry, Boundary, WorkerProcess
from mqsite.words import say_last_line

admin.site.site_header = "mqsite"
admin.site.site_title = "mqsite"
admin.site.index_title = "Rows and resets"


@admin.register(Boundary)
class BoundaryAdmin(admin.ModelAdmin):
    list_display = ["name", "description", "created_at"]
    search_fields = ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Boundary | None = None) -> list[str]:
        return ["created_at", "name"] if obj else ["created_at"]  # declarations find it by name


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    list_display = ["name", "boundary", "prefix", "created_at", "revoked_at"]
    list_filter = ["boundary"]
    readonly_fields = ["prefix", "created_at"]

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        issued, token = issue_api_key(obj.boundary, obj.name)
        obj.pk, obj.prefix = issued.pk, issued.prefix
        said = f"The key, shown this once: {token}"
        self.message_user(request, said, messages.WARNING)


class _ReadOnly(admin.ModelAdmin):
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(_ReadOnly):
    list_display = ["at", "actor", "action", "subject", "reason"]
    list_filter = ["action"]
    search_fields = ["actor", "subject"]


@admin.register(WorkerProcess)
class WorkerProcessAdmin(_ReadOnly):
    list_display = [
        *("name", "page", "started_at", "seen_at", "at", "handled_last_minute", "handled", "error", "failed_at"),
    ]

    @admin.display(description="working on", empty_value="nothing")
    def at(self, process: WorkerProcess) -> str | None:
        return ", ".join(process.working_on) or None

    @admin.display(description="last error")
    def error(self, process: WorkerProcess) -> str:
        return say_last_line(process.last_error)

    @admin.display(description="live")
    def page(self, process: WorkerProcess) -> str:
        return format_html('<a href="{}">who works</a>', reverse("workers"))
