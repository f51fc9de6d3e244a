"""Who works: the worker processes of both halves and what nobody handles, as a page, a socket and over REST."""

import time
from typing import Any
from urllib.parse import parse_qs, urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mqsite import selectors, worker_pictures, workers
from mqsite.authentication import may_read_errors
from mqsite.fields import NamedFields
from mqsite.parsing import checked
from mqsite.sockets import Hint, Sections, SnapshotSocket

HANDLERS_SECONDS = 3.0  # a heartbeat: what has handlers is read at most this often
MAX_NAME_CHARACTERS = 249


@login_required
def page(request: HttpRequest) -> HttpResponse:
    """`?after=…` is the next page of processes."""
    after = _read_name(request.GET.get("after", ""))
    processes, following = workers.list_processes(after=after)
    handlers = selectors.list_handlers()
    context = {
        "head": worker_pictures.draw_head(workers.count_alive(), _name_vanished(), handlers),
        "processes": worker_pictures.draw_processes(processes),
        "handlers": worker_pictures.draw_handlers(handlers),
        "socket": f"/ws/workers/?{urlencode({'after': after})}" if after else "/ws/workers/",
        "is_later": bool(after),
        "next": f"?{urlencode({'after': following})}" if following else "",
    }
    return render(request, "mqsite/workers.html", context)


class WorkersSocket(SnapshotSocket):
    """`/ws/workers/?after=…`: by the clock alone, as heartbeats are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handlers: list[dict[str, Any]] = []
        self.handlers_at = float("-inf")

    @property
    def after(self) -> str:
        return _read_name(parse_qs(self.scope["query_string"].decode()).get("after", [""])[0])

    def snapshot_key(self) -> tuple[Any, ...]:
        return (*super().snapshot_key(), self.after)

    def hear(self, hint: Hint) -> None:
        """What moves in topics and queues shows with the next heartbeat."""

    def draw(self) -> Sections:
        if time.monotonic() - self.handlers_at >= HANDLERS_SECONDS:
            self.handlers_at = time.monotonic()
            self.handlers = selectors.list_handlers()
        processes, _ = workers.list_processes(after=self.after)
        return {
            "workers": worker_pictures.draw_head(workers.count_alive(), _name_vanished(), self.handlers),
            "processes": worker_pictures.draw_processes(processes),
            "handlers": worker_pictures.draw_handlers(self.handlers),
        }


class ProcessesInput(NamedFields):
    after = serializers.CharField(default="", allow_blank=True, max_length=MAX_NAME_CHARACTERS)
    limit = serializers.IntegerField(default=workers.MAX_PROCESSES, min_value=1, max_value=workers.MAX_PROCESSES)


class WorkersView(APIView):
    """`?after=&limit=`: worker processes by name, alive or lately vanished; and what nobody alive handles although it
    has a handler, as far as this application and the vanished know. `last_error` is null but for the boundary whose
    handler it was, and for staff."""

    def get(self, request: Request) -> Response:
        processes, following = workers.list_processes(**checked(ProcessesInput, request.query_params))
        for process in processes:
            if process["last_error"] and not may_read_errors(request, process["failed_for"]):
                process["last_error"] = None
        missing = [h["name"] for h in selectors.list_handlers() if h["state"] == selectors.MISSING]
        return Response({"workers": processes, "next_after": following, "not_handled": missing})


def _name_vanished() -> list[str]:
    return [name for name, _ in workers.find_vanished()]


def _read_name(text: str) -> str:
    return text.replace("\0", "")[:MAX_NAME_CHARACTERS]
