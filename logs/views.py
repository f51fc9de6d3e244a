"""Pages of the log: topics and consumer groups. Rendered whole here; `live.py` keeps them up to date."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from logs import group_pictures, parked_pictures, pictures, selectors
from logs.errors import GroupNotFound, TopicNotFound
from logs.group_views import is_operator, read_id
from logs.handlers import subscriptions
from logs.keeping import say_retention
from logs.selectors.groups import MAX_SHOWN_RESETS

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
    found = selectors.groups(limit=MOST_ROWS)
    names = [group["group"] for group in found]
    paused, parked = selectors.count_paused(names), selectors.count_parked_each(names)
    rows = [pictures.draw_group_row({**group, "parked": parked.get(group["group"], 0)}, paused) for group in found]
    return render(request, "logs/groups.html", {"rows": rows, "full": len(rows) == MOST_ROWS, "limit": MOST_ROWS})


@login_required
def group(request: HttpRequest, name: str) -> HttpResponse:
    """With sections `#parked`, `#members` and `#resets`; `?before=`: older resets."""
    before = read_id(request.GET.get("before", ""))
    try:
        described = selectors.describe_group(name)
        members = selectors.list_members(name)
        resets = selectors.find_resets(name, before=before)
        row = selectors.require_group(name)
        parked = selectors.newest_parked(name, limit=parked_pictures.MOST_NEWEST).records
        parked_count = selectors.count_parked(name)
    except GroupNotFound as error:
        raise Http404(str(error)) from error
    context = {
        "group": pictures.draw_group({**described, "members": len(members), "parked": parked_count}),
        "parked": parked_pictures.draw_newest(parked, parked_count),
        "pauses": group_pictures.draw_pauses(described),
        "topics": [pictures.draw_topic(topic) for topic in described["topics"]],
        "members": group_pictures.draw_members(members, selectors.group_state(row)),
        "resets": group_pictures.draw_resets(resets),
        "handlers": group_pictures.draw_handlers(each for each in subscriptions if each.group.name == name),
        "is_old": before is not None,
        "older": resets[-1]["id"] if len(resets) == MAX_SHOWN_RESETS else None,
        "is_operator": is_operator(request),
        "is_paused": described["is_paused"],
        "starts": row.auto_offset_reset,
        "change_url": reverse("admin:logs_consumergroup_change", args=[row.pk]),
    }
    return render(request, "logs/group.html", context)
