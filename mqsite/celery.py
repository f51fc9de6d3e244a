"""The Celery application. Its workers are the consumers of both halves."""

import os
from typing import Any

from celery import Celery, signals

from mqsite.memory import freeze_startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mqsite.settings")

app = Celery("mqsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_init.connect
def refuse_to_start_broken(**_: Any) -> None:
    """Celery runs Django's checks and passes over what they find."""
    from mqsite import checks

    faults = checks.find_faults()
    if faults:
        raise SystemExit("This worker does not start:\n" + "\n".join(f"  {fault}" for fault in faults))


@signals.worker_init.connect
def freeze(**_: Any) -> None:
    """Before the children are forked: what they share with their parent then stays shared."""
    freeze_startup()


@signals.worker_process_init.connect
def start_timers(**_: Any) -> None:
    """In every prefork child: it beats and sweeps on its own, whatever happens to its parent or the broker."""
    from mqsite import keepalive, workers

    keepalive.guard_connections(workers.name())
    workers.start_timers()


@signals.worker_init.connect
def start_timers_without_children(sender: Any, **_: Any) -> None:
    """Pools that have no child processes (threads, solo) run handlers in the worker itself."""
    if "prefork" not in str(sender.pool_cls):
        start_timers()


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def leave(**_: Any) -> None:
    """A prefork child ends without atexit, and what its last task gave back should wake another worker."""
    from mqsite import hints, workers

    workers.stop_timers()
    hints.flush()


@signals.task_prerun.connect
def check_connections(**_: Any) -> None:
    """A child keeps its connection from task to task; one that was cut meanwhile is replaced before the next."""
    from django.db import close_old_connections

    close_old_connections()


@signals.worker_shutting_down.connect
def stop_drains(**_: Any) -> None:
    from mqsite import workers

    workers.stop_soon()
