"""Requests that wait for something to come: each keeps a thread of the process, so not all may."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from rest_framework import status
from rest_framework.response import Response

MAX_WAIT_SECONDS = 30  # proxies give up on a silent answer after 60
# Of all that this process works on, whatever they wait for: the others must not have to wait for them.
MAX_WAITING_REQUESTS = max(1, settings.MQSITE_HTTP_THREADS // 2)
RETRY_SECONDS = 1  # what a reader is told that found all places to wait taken

_places = threading.BoundedSemaphore(MAX_WAITING_REQUESTS)


@contextmanager
def place_to_wait(wanted_seconds: float) -> Iterator[float]:
    """How long a request may wait: not at all when every place is taken."""
    if not wanted_seconds or not _places.acquire(blocking=False):
        yield 0.0
        return
    try:
        yield wanted_seconds
    finally:
        _places.release()


def answer_wait(body: dict[str, Any], *, refused: bool, code: int = status.HTTP_200_OK) -> Response:
    """`body` with `wait_refused`: nothing was there, and there was no place to wait for it."""
    headers = {"Retry-After": str(RETRY_SECONDS)} if refused else None
    return Response({**body, "wait_refused": refused}, status=code, headers=headers)
