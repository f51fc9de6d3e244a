"""Starts the kernel's app: the Celery application, what tasks bind to; the checks of what is declared."""

from django.apps import AppConfig


class MqsiteConfig(AppConfig):
    name = "mqsite"
    verbose_name = "mqsite"

    def ready(self) -> None:
        from mqsite import celery, checks, converters, limits, workers  # noqa: F401

        workers.register(renew=limits.keep_slots)
