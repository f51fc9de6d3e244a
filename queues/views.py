"""Pages of the queue. Rendered whole here; `live.py` keeps them up to date."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from queues import listings, message_pictures, periodic_pictures, pictures, selectors
from queues.errors import QueueNotFound
from queues.forms import QueuesForm
from queues.handlers import handled
from queues.queue_views import is_operator
from queues.settings import read_settings

MOST_ROWS = 100
MOST_PERIODIC = 10  # on a queue's page


@login_required
def queues(request: HttpRequest) -> HttpResponse:
    """`?q=…` looks for names and owners, `?after=…` is the next page."""
    form = QueuesForm(request.GET)
    asked = form.cleaned_data if form.is_valid() else {"q": "", "after": ""}
    found, after = listings.list_queues(text=asked["q"], after=asked["after"], limit=MOST_ROWS)
    context = {
        "rows": [pictures.draw_queue_row(queue) for queue in found],
        "q": asked["q"],
        "is_later": bool(asked["after"]),
        "first": f"?{urlencode({'q': asked['q']})}" if asked["q"] else "?",
        "next": f"?{urlencode({'q': asked['q'], 'after': after})}" if after else "",
    }
    return render(request, "queues/queues.html", context)


@login_required
def queue(request: HttpRequest, name: str) -> HttpResponse:
    """With who handles it, its redrives, outcomes, settings and dead letters as sections."""
    try:
        described = selectors.describe_queue(name)
        row = selectors.require_queue(name)
    except QueueNotFound as error:
        raise Http404(str(error)) from error
    schedules, more_schedules = listings.list_periodic(queue=name, limit=MOST_PERIODIC)
    context = {
        "queue": pictures.draw_queue(described),
        "dead": pictures.draw_dead(described),
        "pause": message_pictures.draw_pause(described),
        "holders": message_pictures.draw_holders(listings.list_holders(name)),
        "redrives": message_pictures.draw_redrives(listings.list_redrives(name)),
        "outcomes": message_pictures.draw_outcomes(listings.list_outcomes(name), row.outcome_seconds),
        "keeps": row.outcome_seconds,
        "periodic": [periodic_pictures.draw_row(schedule) for schedule in schedules],
        "more_periodic": more_schedules is not None,
        "handler": message_pictures.draw_handler(handled.get(name)),
        "settings": message_pictures.draw_settings(read_settings(row)),
        "sources": list(row.sources.order_by("name").values_list("name", flat=True)[: pictures.MOST_SOURCES]),
        "letters_queue": row.dead_letter_queue and row.dead_letter_queue.name,
        "letters": selectors.count_letters(row),
        "is_operator": is_operator(request),
        "change_url": reverse("admin:queues_queue_change", args=[row.pk]),
    }
    return render(request, "queues/queue.html", context)
