"""Pages of the queue. Rendered whole here; `live.py` keeps them up to date."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from queues import pictures, selectors
from queues.errors import QueueNotFound

MOST_ROWS = 100


@login_required
def queues(request: HttpRequest) -> HttpResponse:
    rows = [pictures.draw_queue_row(queue) for queue in selectors.overview(limit=MOST_ROWS)]
    return render(request, "queues/queues.html", {"rows": rows, "full": len(rows) == MOST_ROWS, "limit": MOST_ROWS})


@login_required
def queue(request: HttpRequest, name: str) -> HttpResponse:
    try:
        described = selectors.describe_queue(name)
    except QueueNotFound as error:
        raise Http404(str(error)) from error
    context = {"queue": pictures.draw_queue(described), "dead": pictures.draw_dead(described)}
    return render(request, "queues/queue.html", context)
