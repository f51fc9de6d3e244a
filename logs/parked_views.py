"""Pages of what a group has parked: looked at by all, tried again or dropped by operators, with the numbers first."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from logs import parked_pictures, selectors, services
from logs.errors import GroupNotFound
from logs.group_forms import WhyForm
from logs.group_views import is_operator, read_id
from logs.models import ConsumerGroup
from mqsite import workers
from mqsite.errors import MessagingError
from mqsite.words import say_count, say_counted

MOST_CHOSEN = 1_000  # in an address


@login_required
def parked(request: HttpRequest, name: str) -> HttpResponse:
    """`?topic=…` lists those of one topic, `?before=…` is the next page: the latest come first."""
    group = _require_group(name)
    topics = selectors.parked_topics(name)
    topic = request.GET.get("topic", "").replace("\0", "") or None
    before = read_id(request.GET.get("before", ""))
    page = selectors.newest_parked(name, topic=topic, before=before)
    kept = {"topic": topic} if topic else {}
    count = selectors.count_parked(name)
    context = {
        "group": group.name,
        "count": count,
        "said": parked_pictures.say_parked(count),
        "rows": [parked_pictures.draw_row(record) for record in page.records],
        "topic": topic,
        "topics": topics if len(topics) > 1 or topic else [],
        "first": f"?{urlencode(kept)}" if before else "",
        "next": f"?{urlencode({**kept, 'before': page.mark})}" if page.mark else "",
        "is_operator": is_operator(request),
    }
    return render(request, "logs/parked.html", context)


@login_required
def retry(request: HttpRequest, name: str) -> HttpResponse:
    """`?chosen=1&id=7&id=8`: these; without `chosen` all that are parked."""
    group = _require_operated(request, name)
    is_all = "chosen" not in request.GET
    found = [] if is_all else selectors.chosen_parked(name, _read_chosen(request))
    count = selectors.count_parked(name) if is_all else len(found)
    asked = selectors.count_asked(name) if is_all else sum(record["retry_asked_by"] is not None for record in found)
    what = f"{'all ' if is_all and count > 1 else ''}{say_counted(count, 'parked record')}"

    def work(reason: str) -> str:
        ids = None if is_all else [record["id"] for record in found]
        began = services.retry_parked(name, ids, actor=_name(request), reason=reason)
        return f"{say_counted(began, 'record')} of {name} will be tried again."

    said = [
        f"Try {what} of {name} again?",
        f"A worker of {name} calls its handler with each, for {name} alone. What succeeds leaves; what fails "
        "stays parked.",
        f"{say_count(asked)} of them {'is' if asked == 1 else 'are'} asked for already." if asked else "",
        f"{name} is paused: they wait until somebody resumes it." if group.paused_at else "",
        "" if workers.find_handling(selectors.handled_name(name, None)) else _say_no_worker(name),
    ]
    if not count:
        said = [_say_nothing(name, "to try again", is_all)]
    button = f"Retry {say_counted(count, 'record')}" if count else ""
    title = f"Retry parked records of {name}"
    return _ask(request, name, work, title=title, said=said, button=button, found=found)


@login_required
def drop(request: HttpRequest, name: str) -> HttpResponse:
    """`?id=7&id=8`"""
    _require_operated(request, name)
    found = selectors.chosen_parked(name, _read_chosen(request))
    count = len(found)

    def work(reason: str) -> str:
        dropped = services.drop_parked(name, [r["id"] for r in found], actor=_name(request), reason=reason)
        left = count - dropped
        late = f" {say_counted(left, 'record was', 'records were')} not: gone already, or a worker is at it."
        return f"{say_counted(dropped, 'parked record')} of {name} dropped." + (late if left else "")

    said = [
        f"Drop {say_counted(count, 'parked record')} of {name}? They are gone for good, and {name} never handles them.",
        f"{name} has passed their offsets. The log itself keeps them as long as its retention says.",
    ]
    if not count:
        said = [_say_nothing(name, "to drop", is_all=False)]
    button = f"Drop {say_counted(count, 'record')}" if count else ""
    title = f"Drop parked records of {name}"
    return _ask(request, name, work, title=title, said=said, button=button, found=found, danger=True)


def _ask(
    request: HttpRequest, name: str, work: Callable[[str], str], *, found: list[dict[str, Any]], **page: Any
) -> HttpResponse:
    """Say what it would do, and do it once it is posted with a reason."""
    form = WhyForm(request.POST if request.method == "POST" else None)
    refused = " ".join(str(error) for errors in form.errors.values() for error in errors)
    if form.is_valid() and page["button"]:
        try:
            messages.success(request, work(form.cleaned_data["reason"]))
            return redirect(reverse("group-parked", args=[name]))
        except MessagingError as error:
            refused = str(error)
    rows = [parked_pictures.draw_row(record) for record in found]
    page["said"] = list(filter(None, page["said"]))
    return render(
        request, "logs/parked_ask.html", {"group": name, "form": form, "refused": refused, "rows": rows, **page}
    )


def _require_group(name: str) -> ConsumerGroup:
    try:
        return selectors.require_group(name)
    except GroupNotFound as error:
        raise Http404(str(error)) from error


def _require_operated(request: HttpRequest, name: str) -> ConsumerGroup:
    if not is_operator(request):
        raise PermissionDenied
    return _require_group(name)


def _read_chosen(request: HttpRequest) -> list[int]:
    given = dict.fromkeys(request.GET.getlist("id"))
    return [id_ for text in given if (id_ := read_id(text)) is not None][:MOST_CHOSEN]


def _say_nothing(name: str, why: str, is_all: bool) -> str:
    if is_all:
        return f"{name} has nothing parked: there is nothing {why}."
    return f"Nothing {why}: choose parked records of {name} first. What was chosen may be gone."


def _say_no_worker(name: str) -> str:
    return f"No worker process alive has a handler of {name}: they wait until one starts."


def _name(request: HttpRequest) -> str:
    return request.user.get_username()
