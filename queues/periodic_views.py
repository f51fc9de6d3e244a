"""Pages of periodic commands: looked at by all, paused and resumed by operators."""

from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from queues import listings, periodic_pictures, services
from queues.errors import PeriodicNotFound
from queues.forms import QueuesForm, WhyForm
from queues.queue_views import ask, is_operator

MOST_ROWS = 50


@login_required
def periodic(request: HttpRequest) -> HttpResponse:
    """`?q=…` looks for names and queues, `?after=…` is the next page."""
    form = QueuesForm(request.GET)
    asked = form.cleaned_data if form.is_valid() else {"q": "", "after": ""}
    found, after = listings.list_periodic(text=asked["q"], after=asked["after"], limit=MOST_ROWS)
    context = {
        "rows": [periodic_pictures.draw_row(schedule) for schedule in found],
        "q": asked["q"],
        "is_later": bool(asked["after"]),
        "first": f"?{urlencode({'q': asked['q']})}" if asked["q"] else "?",
        "next": f"?{urlencode({'q': asked['q'], 'after': after})}" if after else "",
        "zone": timezone.get_current_timezone_name(),
        "is_operator": is_operator(request),
    }
    return render(request, "queues/periodic.html", context)


@login_required
def pause(request: HttpRequest, name: str) -> HttpResponse:
    if not is_operator(request):
        raise PermissionDenied
    try:
        schedule = listings.read_periodic(name)
    except PeriodicNotFound as error:
        raise Http404(str(error)) from error
    form = WhyForm(request.POST or None)

    def work() -> str:
        services.pause_periodic(name, actor=_name(request), reason=form.cleaned_data["reason"])
        return f"Paused {name}."

    said = [
        f"{name} sends nothing to {schedule['queue']} until somebody resumes it. What comes meanwhile is never sent.",
        f"Next tick: {periodic_pictures.say_next(schedule)}. Messages that were sent already stay where they are.",
    ]
    if schedule["paused"]:
        said = [f"{name} is paused already."]
    title = f"Pause {name}"
    button = "" if schedule["paused"] else title
    return ask(request, {"name": schedule["queue"]}, form, work, title=title, said=said, button=button, back="periodic")


@login_required
@require_POST
def resume(request: HttpRequest, name: str) -> HttpResponse:
    if not is_operator(request):
        raise PermissionDenied
    try:
        services.resume_periodic(name, actor=_name(request))
    except PeriodicNotFound as error:
        raise Http404(str(error)) from error
    messages.success(request, f"Resumed {name}: it goes on with the first tick from now.")
    return redirect("periodic")


def _name(request: HttpRequest) -> str:
    return request.user.get_username()
