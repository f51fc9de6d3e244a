"""What every request passes."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from mqsite import tracing

Respond = Callable[[HttpRequest], HttpResponseBase]


def carry_trace(respond: Respond) -> Respond:
    """What a request with a traceparent publishes or sends belongs to its trace."""

    def handle(request: HttpRequest) -> HttpResponseBase:
        if tracing.TRACEPARENT not in request.headers:
            return respond(request)
        with tracing.caused_by(tracing.Request(request.headers)):
            return respond(request)

    return handle
