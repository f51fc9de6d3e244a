"""Pages of the log: topics and consumer groups. Rendered whole here; `live.py` keeps them up to date."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from logs import pictures, selectors
from logs.errors import GroupNotFound, TopicNotFound
from logs.keeping import say_retention

MOST_ROWS = 100


@login_required
def topics(request: HttpRequest) -> HttpResponse:
    rows = [pictures.draw_topic_row(topic) for topic in selectors.overview(limit=MOST_ROWS)]
    return render(request, "logs/topics.html", {"rows": rows, "full": len(rows) == MOST_ROWS, "limit": MOST_ROWS})


@login_required
def topic(request: HttpRequest, name: str) -> HttpResponse:
    try:
        described = selectors.describe_topic(name)
        records = selectors.newest_records(name, limit=pictures.SHOWN_RECORDS)
    except TopicNotFound as error:
        raise Http404(str(error)) from error
    whole = request.GET.get("window") == "whole"
    context = {
        "topic": pictures.draw_topic(described, window=pictures.WHOLE_LOG if whole else None),
        "records": pictures.draw_records(records),
        "keeps": say_retention(described["configs"]),
        "whole": whole,
        "change_url": reverse("admin:logs_topic_change", args=[selectors.require_topic(name).pk]),
    }
    return render(request, "logs/topic.html", context)


@login_required
def groups(request: HttpRequest) -> HttpResponse:
    rows = [pictures.draw_group_row(group) for group in selectors.groups(limit=MOST_ROWS)]
    return render(request, "logs/groups.html", {"rows": rows, "full": len(rows) == MOST_ROWS, "limit": MOST_ROWS})


@login_required
def group(request: HttpRequest, name: str) -> HttpResponse:
    try:
        described = selectors.describe_group(name)
    except GroupNotFound as error:
        raise Http404(str(error)) from error
    context = {
        "group": pictures.draw_group(described),
        "topics": [pictures.draw_topic(topic) for topic in described["topics"]],
    }
    return render(request, "logs/group.html", context)
