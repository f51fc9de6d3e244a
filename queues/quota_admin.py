"""The admin sets quotas: a superuser, through the service, with a reason."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from mqsite.errors import Invalid
from queues import services
from queues.models import Quota
from queues.services.quotas import check_limits

LIMITS = ("max_messages", "max_bytes", "max_per_second")


class QuotaForm(forms.ModelForm):
    reason = forms.CharField(required=False, help_text="Kept in the audit.")

    class Meta:
        model = Quota
        fields = ["boundary", *LIMITS]
        help_texts = {
            "max_messages": "Standing messages that it sent, dead ones apart. Empty: any number.",
            "max_bytes": "Of their payloads. Empty: any number.",
            "max_per_second": "Messages it may send a second. Empty: any number.",
        }

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        try:
            check_limits({name: given.get(name) for name in LIMITS})
        except Invalid as error:
            raise forms.ValidationError(str(error)) from error
        if not self.errors and all(given.get(name) is None for name in LIMITS):
            raise forms.ValidationError("A quota limits something. To lift it, delete it.")
        return given


@admin.register(Quota)
class QuotaAdmin(admin.ModelAdmin):
    form = QuotaForm
    list_display = ["boundary", *LIMITS, "used_messages", "used_bytes", "counted_at"]
    list_select_related = ["boundary"]
    list_per_page = 50
    search_fields = ["boundary__name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Quota | None = None) -> list[str]:
        return ["boundary", "used_messages", "used_bytes", "counted_at"] if obj else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def save_model(self, request: HttpRequest, obj: Quota, form: Any, change: bool) -> None:
        limits = {name: form.cleaned_data[name] for name in LIMITS}
        actor, reason = request.user.get_username(), form.cleaned_data["reason"]
        services.set_quota(obj.boundary.name, **limits, actor=actor, reason=reason)
        obj.pk = Quota.objects.get(boundary=obj.boundary).pk

    def delete_model(self, request: HttpRequest, obj: Quota) -> None:
        services.set_quota(obj.boundary.name, actor=request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Quota]) -> None:
        for row in queryset.select_related("boundary"):
            self.delete_model(request, row)
