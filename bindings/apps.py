"""Wiring of bindings: their part in a worker."""

from django.apps import AppConfig


class BindingsConfig(AppConfig):
    name = "bindings"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from bindings import consumer, receivers  # noqa: F401
        from mqsite import workers

        # What they handle is among the log's subscriptions, so the log sweeps it and tells of it.
        workers.register(renew=consumer.refresh, sweep=lambda: 0, handles=lambda: ())
