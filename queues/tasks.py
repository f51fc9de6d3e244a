"""The ways in: what a wake-up makes a worker see to, and what beat sends."""

from celery import shared_task

from mqsite import nudge, workers
from queues import consumer, services


@nudge.errand
def consume(queue: str) -> bool:
    return consumer.drain(queue, stop=workers.stopping)


@shared_task
def sweep() -> None:
    services.run_upkeep()
