"""The connections of a consumer end soon after what ends at their other side, and with them the locks they hold."""

from typing import Any

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

PROBES = 2


def guard_connections(name: str) -> None:
    """From its next connections on this process is a consumer: they carry its name, and end at both sides when
    nothing was heard from the other for MQSITE_CUT_SECONDS. What OPTIONS says itself stays as it is."""
    for alias in connections:
        wanted = connections.settings[alias]
        if wanted["ENGINE"].endswith("postgresql"):
            wanted["OPTIONS"] = choose_options(name, settings.MQSITE_CUT_SECONDS) | (wanted.get("OPTIONS") or {})
    connection_created.connect(guard_session, dispatch_uid="keepalive")


def choose_options(name: str, cut_seconds: float) -> dict[str, Any]:
    """Parameters of libpq, for our side. 0 seconds: nothing but the name."""
    if not cut_seconds:
        return {"application_name": name}
    return {
        "application_name": name,
        "connect_timeout": max(2, int(cut_seconds)),  # libpq takes 2 for less
        "keepalives_idle": _probe_seconds(cut_seconds),
        "keepalives_interval": _probe_seconds(cut_seconds),
        "keepalives_count": PROBES,
        "tcp_user_timeout": int(cut_seconds * 1000),
    }


def guard_session(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """For the server's side. Not as libpq's `options`, which PgBouncer refuses."""
    cut_seconds = settings.MQSITE_CUT_SECONDS
    if connection.vendor != "postgresql" or not cut_seconds:
        return
    probe_seconds = _probe_seconds(cut_seconds)
    wanted = {
        "tcp_keepalives_idle": probe_seconds,
        "tcp_keepalives_interval": probe_seconds,
        "tcp_keepalives_count": PROBES,
        "tcp_user_timeout": int(cut_seconds * 1000),
        # A session that waits for a lock, or at its COMMIT, does not look whether anybody is still there.
        "client_connection_check_interval": probe_seconds * 1000,
    }
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'set_config({k!r}, {str(v)!r}, false)' for k, v in wanted.items())}")


def _probe_seconds(cut_seconds: float) -> int:
    """Two fit before the time is up; TCP counts whole seconds."""
    return max(1, int(cut_seconds / 3))
