"""The connections of a consumer end soon after what ends at their other side, and with them the locks they hold."""

import logging
from typing import Any

from django.conf import settings
from django.db import connections

logger = logging.getLogger(__name__)


def guard_connections(name: str) -> None:
    """From its next connections on this process is a consumer: they carry its name, and end at both sides when
    nothing was heard from the other for MQSITE_CUT_SECONDS. What OPTIONS says itself stays as it is."""
    for alias in connections:
        wanted = connections.settings[alias]
        if wanted["ENGINE"].endswith("postgresql"):
            wanted["OPTIONS"] = choose_options(name, settings.MQSITE_CUT_SECONDS, wanted.get("OPTIONS") or {})


def choose_options(name: str, cut_seconds: float, given: dict[str, Any]) -> dict[str, Any]:
    """libpq's parameters, those that are given among them. 0 seconds: nothing but the name."""
    chosen: dict[str, Any] = {"application_name": name}
    if cut_seconds:
        probe_seconds = max(1, int(cut_seconds / 3))  # two fit before the time is up; TCP counts whole seconds
        milliseconds = int(cut_seconds * 1000)
        chosen |= {
            "connect_timeout": max(2, int(cut_seconds)),  # libpq takes 2 for less
            "keepalives_idle": probe_seconds,
            "keepalives_interval": probe_seconds,
            "keepalives_count": 2,
            "tcp_user_timeout": milliseconds,
        }
        ours = {
            "tcp_keepalives_idle": probe_seconds,
            "tcp_keepalives_interval": probe_seconds,
            "tcp_keepalives_count": 2,
            "tcp_user_timeout": milliseconds,
            # A session that waits for a lock, or at its COMMIT, does not look whether anybody is still there.
            "client_connection_check_interval": probe_seconds * 1000,
        }
        said = [f"-c {setting}={value}" for setting, value in ours.items()]
        chosen["options"] = " ".join([*said, *filter(None, [given.get("options")])])  # the later one counts
    return chosen | {key: value for key, value in given.items() if key != "options" or not cut_seconds}
