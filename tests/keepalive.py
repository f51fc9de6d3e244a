"""This process as a consumer for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.backends.signals import connection_created

from mqsite import keepalive


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Threads that connect meanwhile are a consumer's."""
    before = connection.settings_dict["OPTIONS"]
    keepalive.guard_connections(name)
    try:
        yield
    finally:
        connection.settings_dict["OPTIONS"] = before
        connection_created.disconnect(dispatch_uid="keepalive")
