from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from examples.flights.models import Aircraft, BoardRow, Departure, Rebooking


class ReadOnly(admin.ModelAdmin):
    """To look at. What changes these tables are services and handlers."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Departure)
class DepartureAdmin(ReadOnly):
    list_display = ["row", "flight", "tail_number", "origin", "destination", "scheduled_at", "delay_minutes"]
    list_filter = ["origin"]
    search_fields = ["=flight", "=tail_number"]


@admin.register(BoardRow)
class BoardRowAdmin(ReadOnly):
    list_display = [
        "airport",
        "partition",
        "departures",
        "cancelled",
        "delayed_over_hour",
        "delay_minutes",
        "worst_delay_minutes",
    ]
    list_filter = ["airport"]


@admin.register(Aircraft)
class AircraftAdmin(ReadOnly):
    list_display = ["tail_number", "flight", "destination", "scheduled_at"]
    search_fields = ["=tail_number"]


@admin.register(Rebooking)
class RebookingAdmin(ReadOnly):
    list_display = ["departure", "flight", "destination", "delay_minutes"]
    search_fields = ["=flight"]
