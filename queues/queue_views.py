"""Pages that change what a queue does or holds: each says the numbers first, asks why, and does what it showed."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from mqsite.errors import MessagingError
from mqsite.words import say_count, say_counted, say_round_age
from queues import listings, message_pictures, selectors, services
from queues.errors import QueueNotFound, RedriveNotFound
from queues.forms import ChosenForm, NamedDeletionForm, RedriveForm, WhyForm

OPERATES = "queues.change_message"
MOST_PURGED = 100_000  # at one press of the button
PURGED = {
    "ready": ("ready", "waiting"),
    "scheduled": ("scheduled",),
    "dead": ("dead",),
    "all": ("ready", "waiting", "scheduled", "dead"),
}
NOT_KEPT = "They are not kept as dead letters."


def is_operator(request: HttpRequest) -> bool:
    """Who may pause, resume, purge, cancel and redrive."""
    return request.user.is_staff and request.user.has_perm(OPERATES)


def ask(
    request: HttpRequest, queue: dict[str, Any], form: WhyForm, work: Callable[[], str], **page: Any
) -> HttpResponse:
    """Say what it would do, and do it once it is posted with a reason. `back`: the page to return to."""
    refused = " ".join(form.complaints())
    if form.is_valid() and page["button"]:
        try:
            said = work()
        except MessagingError as error:
            refused = str(error)
        else:
            if said:
                messages.success(request, said)
            back = page.get("back")
            return redirect(back) if back else redirect("queue", queue["name"])
    return render(request, "queues/ask.html", {"queue": queue, "form": form, "refused": refused, **page})


@login_required
def pause(request: HttpRequest, name: str) -> HttpResponse:
    queue = _require_queue(request, name)
    form = WhyForm(request.POST or None)

    def work() -> str:
        services.pause_queue(name, actor=_name(request), reason=form.cleaned_data["reason"])
        return ""

    said = [
        f"Nobody receives from {name} until somebody resumes it. Sends go on: messages wait.",
        f"{_say(queue, 'ready')} ready, {_say(queue, 'scheduled')} scheduled. What is leased already "
        f"({say_count(queue['counts']['leased'])}) may be finished and acknowledged.",
    ]
    return ask(request, queue, form, work, title=f"Pause {name}", said=said, button=f"Pause {name}")


@login_required
@require_POST
def resume(request: HttpRequest, name: str) -> HttpResponse:
    _require_queue(request, name)
    services.resume_queue(name, actor=_name(request))
    return redirect("queue", name)


@login_required
def purge(request: HttpRequest, name: str) -> HttpResponse:
    """`?state=dead`: at most as many go as the page said."""
    queue = _require_queue(request, name)
    state = request.GET.get("state", "dead")
    if state not in PURGED:
        raise Http404(f"There is no state {state!r} to purge; there are {', '.join(PURGED)}.")
    standing = sum(queue["counts"][each] for each in PURGED[state])
    is_exact = all(queue["counts"][each] < queue["count_limit"] for each in PURGED[state])
    shown = request.POST.get("shown", "")
    most = min(MOST_PURGED, int(shown)) if shown.isascii() and shown.isdecimal() and len(shown) < 10 else standing
    form = WhyForm(request.POST or None)

    def work() -> str:
        gone = services.purge(name, state=state, most=most, actor=_name(request), reason=form.cleaned_data["reason"])
        return f"Purged {_say_messages(gone, state)} from {name}."

    what = _say_messages(standing if is_exact else MOST_PURGED, state)
    said = [f"Purge {what} from {name}? {'They are gone for good.' if state == 'dead' else NOT_KEPT}"]
    if state != "dead":
        said.append("What somebody holds at the moment stays.")
    if not is_exact:
        said.append(f"There are more than can be counted here: at most {say_count(MOST_PURGED)} go at a time.")
    return ask(
        request,
        queue,
        form,
        work,
        title=f"Purge {name}",
        said=said if standing else [f"{name} has no {_say_state(state)}messages: there is nothing to purge."],
        button=f"Purge {'' if is_exact else 'up to '}{what}" if standing else "",
        danger=True,
        hidden={"shown": standing if is_exact else MOST_PURGED},
        choices=[(each, each == state) for each in PURGED],
    )


@login_required
def cancel(request: HttpRequest, name: str) -> HttpResponse:
    """`?id=7&id=8`: takes messages back that nobody has received."""
    queue = _require_queue(request, name)
    ids = _read_chosen(request)
    found = [m for m in listings.list_chosen(name, ids) if m["state"] in {"ready", "waiting", "scheduled"}]
    form = WhyForm(request.POST or None)

    def work() -> str:
        reason = form.cleaned_data["reason"]
        gone = services.cancel(name, [m["id"] for m in found], actor=_name(request), reason=reason)
        return f"Cancelled {say_counted(len(gone), 'message')} of {name}." + _say_late(len(ids) - len(gone))

    said = [f"Cancel {say_counted(len(found), 'message')} of {name}? Nobody will receive them. {NOT_KEPT}"]
    late = _say_late(len(ids) - len(found))
    if not found:
        said = ["Nothing to cancel: choose messages that are ready, waiting or scheduled."]
    return ask(
        request,
        queue,
        form,
        work,
        title=f"Cancel messages of {name}",
        said=[*said, late.strip()] if late else said,
        button=f"Cancel {say_counted(len(found), 'message')}" if found else "",
        danger=True,
        rows=[message_pictures.draw_message_row(m) | {"state": m["state"]} for m in found],
    )


@login_required
def delete(request: HttpRequest, name: str) -> HttpResponse:
    if not request.user.is_superuser:
        raise PermissionDenied
    queue = _require_queue(request, name)
    form = NamedDeletionForm(request.POST or None, subject=name)

    def work() -> str:
        services.delete_queue(name, actor=_name(request), reason=form.cleaned_data["reason"])
        return f"Deleted {name}."

    held = ", ".join(f"{_say(queue, s)} {s}" for s in selectors.STATES.values() if queue["counts"][s])
    said = [
        f"{name} will be gone with all that is in it: {held}." if held else f"{name} is empty, and will be gone.",
        "Whoever holds a lease loses it, and sends are refused from then on.",
    ]
    title = f"Delete {name}"
    return ask(request, queue, form, work, title=title, said=said, button=title, danger=True, back="queues")


@login_required
def redrive(request: HttpRequest, name: str) -> HttpResponse:
    """A filter in the address shows which letters it finds; posting it starts the job."""
    queue = _require_queue(request, name)
    form = RedriveForm(request.GET, queue=selectors.require_queue(name))
    why = WhyForm(request.POST or None)
    refused = " ".join(why.complaints())
    if form.is_valid() and why.is_valid():
        try:
            job = services.start_redrive(
                name,
                to=form.cleaned_data["to"] or None,
                rate_per_second=form.cleaned_data["rate"],
                actor=_name(request),
                reason=why.cleaned_data["reason"],
                **form.filter,
            )
            messages.success(request, f"Redrive {job} has begun: the workers' sweep does it.")
            return redirect(f"{reverse('queue', args=[name])}#redrives")
        except MessagingError as error:
            refused = f"Not started: {error}"
    context = {
        "queue": queue,
        "form": form,
        "why": why,
        "refused": refused,
        "chosen": form.cleaned_data.get("id", ()) if form.is_valid() else (),
        "plan": _plan_redrive(name, form) if form.is_valid() else None,
        "read_at": timezone.localtime(),
    }
    return render(request, "queues/redrive.html", context)


@login_required
def cancel_redrive(request: HttpRequest, name: str, job: int) -> HttpResponse:
    queue = _require_queue(request, name)
    try:
        told = selectors.describe_redrive(job)
    except RedriveNotFound as error:
        raise Http404(str(error)) from error
    if told["queue"] != name:
        raise Http404(f"Redrive {job} is not of {name}.")
    form = WhyForm(request.POST or None)

    def work() -> str:
        cancelled = services.cancel_redrive(job, actor=_name(request), reason=form.cleaned_data["reason"])
        return f"Redrive {job} was cancelled." if cancelled else f"Redrive {job} had ended already."

    moved = (
        f"{say_counted(told['moved'], 'message')} moved, {say_count(told['scanned'])} of {say_count(told['letters'])}"
    )
    said = [f"{moved} looked at so far. What has moved stays moved; the other letters stay dead."]
    if told["state"] != "running":
        said = [f"Redrive {job} is {told['state']} already: {moved} looked at."]
    title = f"Cancel redrive {job}"
    button = title if told["state"] == "running" else ""
    return ask(request, queue, form, work, title=title, said=said, button=button)


def _plan_redrive(name: str, form: RedriveForm) -> dict[str, Any]:
    looked_at, fitting = listings.count_fitting(name, **form.filter)
    is_exact = looked_at < selectors.COUNT_LIMIT
    more = "" if is_exact else " or more"
    letters = f"{say_count(fitting)}{more} dead {'letter' if fitting == 1 and is_exact else 'letters'}"
    rate = form.cleaned_data["rate"]
    return {
        "fitting": fitting,
        "letters": letters,
        "where": form.cleaned_data["to"],
        "looked_at": f"{say_count(looked_at)}{more} looked at",
        "rate": f"{rate:g}" if rate else "",
        "takes": say_round_age(fitting / rate) if rate and fitting else "",
        "can_start": fitting > 0 or not is_exact,
        "button": f"Redrive {letters}",
    }


def _require_queue(request: HttpRequest, name: str) -> dict[str, Any]:
    if not is_operator(request):
        raise PermissionDenied
    try:
        return selectors.describe_queue(name)
    except QueueNotFound as error:
        raise Http404(str(error)) from error


def _read_chosen(request: HttpRequest) -> list[int]:
    form = ChosenForm(request.GET)
    return list(form.cleaned_data["id"]) if form.is_valid() else []


def _say_late(count: int) -> str:
    if not count:
        return ""
    was = "was" if count == 1 else "were"
    return f" {say_count(count)} of the chosen {was} too late: received, or gone."


def _say_messages(count: int, state: str) -> str:
    return say_counted(count, f"{_say_state(state)}message")


def _say_state(state: str) -> str:
    return "" if state == "all" else f"{state} "


def _say(queue: dict[str, Any], state: str) -> str:
    count = queue["counts"][state]
    return f"{say_count(count)}{' or more' if count >= queue['count_limit'] else ''}"


def _name(request: HttpRequest) -> str:
    return request.user.get_username()
