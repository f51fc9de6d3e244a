"""Admin of bindings: a superuser makes and removes them, through the services."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from bindings import selectors, services
from bindings.models import Binding
from logs.models import Topic
from mqsite.errors import MessagingError
from queues.models import Queue


class BindingForm(forms.ModelForm):
    """A new binding, by the owner of its queue."""

    actor: str  # who fills it in
    made = ""  # the name of what the service made

    topic = forms.ModelChoiceField(Topic.objects.all(), to_field_name="name", help_text="Whose records.")
    queue = forms.ModelChoiceField(Queue.objects.all(), to_field_name="name", help_text="Where they become messages.")
    name = forms.CharField(
        max_length=249, required=False, help_text="Also that of the consumer group. Empty: QUEUE.from.TOPIC."
    )
    start = forms.CharField(
        initial="latest", max_length=100, help_text="From which record on: latest, earliest or by_duration:PT12H."
    )
    match_headers = forms.JSONField(
        initial=dict, required=False, help_text='Headers that must all be there: {"region": "eu"}.'
    )
    reason = forms.CharField(required=False, help_text="For the audit.")

    class Meta:
        model = Binding
        fields = ["topic", "queue", "name", "match_type", "match_headers", "start", "reason"]
        help_texts = {"match_type": "Value of the header ce_type or type. Empty: any."}

    def clean(self) -> dict[str, Any]:
        given = {**(super().clean() or {})}
        queue, topic = given.get("queue"), given.get("topic")
        if self.errors or queue is None or topic is None:
            return given
        more = {"queue": queue.name, "topic": topic.name, "match_headers": given["match_headers"] or {}}
        try:
            self.made = services.bind(
                **{**given, **more, "name": given["name"] or None}, boundary=queue.owner.name, actor=self.actor
            )
        except MessagingError as error:
            raise forms.ValidationError(str(error)) from error
        return given

    def _post_clean(self) -> None:
        """The service has written the row."""

    def save(self, commit: bool = True) -> Binding:
        return selectors.require_binding(self.made)

    def save_m2m(self) -> None:
        """There are none."""


@admin.register(Binding)
class BindingAdmin(admin.ModelAdmin):
    list_display = ["name", "topic", "queue", "owner", "match_type", "match_headers", "state", "created_at"]
    list_filter = ["topic", "queue"]
    search_fields = ["name", "topic", "queue"]
    list_per_page = 50
    form = BindingForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return type("BindingForm", (form,), {"actor": request.user.get_username()})

    def save_model(self, request: HttpRequest, obj: Binding, form: Any, change: bool) -> None:
        """The service has."""

    def delete_model(self, request: HttpRequest, obj: Binding) -> None:
        services.unbind(obj.name, actor=request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Binding]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    @admin.display
    def state(self, row: Binding) -> str:
        if row.removed_by:
            return f"removed by {row.removed_by}; workers are letting go"
        return selectors.describe_binding(row.name)["problem"] or "at work"
