"""The ways in: what a wake-up makes a worker see to, and what beat sends."""

from celery import shared_task

from logs import consumer, services
from mqsite import nudge, workers


@nudge.errand
def consume(group: str, topic: str, partition: int) -> bool:
    return consumer.drain(group, topic, partition, stop=workers.stopping)


@shared_task
def sweep() -> None:
    services.run_upkeep()
