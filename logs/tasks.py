"""Celery's way in. A task is a nudge: what there is to do, the database knows."""

from celery import shared_task

from logs import consumer, services
from mqsite import nudge, workers


@shared_task
def consume(group: str, topic: str, partition: int) -> None:
    nudge.woken(consume, group, topic, partition)
    if consumer.drain(group, topic, partition, stop=workers.stopping):
        nudge.wake(consume, group, topic, partition)


@shared_task
def sweep() -> None:
    services.run_upkeep()
