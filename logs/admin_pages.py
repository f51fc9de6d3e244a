"""What the log's admin pages share: lists that only services change, and pages that ask before they do."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path

from mqsite.errors import MessagingError


class Looked(admin.ModelAdmin):
    """Rows that only services make, change and delete."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def page_at(self, verb: str, view: Any) -> Any:
        """The address of a page about one row, such as `7/delete-records/`, named `logs_topic_delete_records`."""
        name = f"logs_{self.opts.model_name}_{verb}".replace("-", "_")
        return path(f"<int:pk>/{verb}/", self.admin_site.admin_view(view), name=name)

    def do(self, request: HttpRequest, form: Form, work: Callable[[], str]) -> bool:
        """Say what was done, or put the refusal on top of the form."""
        try:
            said = work()
        except MessagingError as error:
            form.add_error(None, str(error))
            return False
        self.message_user(request, said, messages.SUCCESS)
        return True

    def ask(self, request: HttpRequest, row: Model, form: Form, title: str, **more: Any) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "row": row}
        return TemplateResponse(request, "admin/logs/ask.html", {**context, "form": form, **more})


def name_of(request: HttpRequest) -> str:
    return request.user.get_username()
