"""Celery's way in. A task is a nudge: what there is to do, the database knows."""

from celery import shared_task

from mqsite import nudge, workers
from queues import consumer, services


@shared_task
def consume(queue: str) -> None:
    nudge.woken(consume, queue)
    if consumer.drain(queue, stop=workers.stopping):
        nudge.wake(consume, queue)


@shared_task
def sweep() -> None:
    services.run_upkeep()
