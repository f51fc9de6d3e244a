"""Pages that pause a consumer group, move its offsets and put them back: a preview first, then what was shown."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from logs import group_pictures, selectors, services
from logs.configs import MAX_BIGINT
from logs.errors import GroupNotFound, GroupNotPaused
from logs.group_forms import PauseForm, Places, PlacesForm, ResetForm, draw_boxes
from logs.services.reset_plans import ResetPlan, read_token
from mqsite.errors import MessagingError

OPERATES = "logs.change_grouppartition"
MAX_REASON_CHARACTERS = 1_000
ASK_WHY = "Not reset: say why. It is kept in the audit."


def is_operator(request: HttpRequest) -> bool:
    """Who may pause, resume and reset."""
    return request.user.is_staff and request.user.has_perm(OPERATES)


@login_required
def reset(request: HttpRequest, name: str) -> HttpResponse:
    """`?mode=…&at=…` shows a plan; posting its token executes it; `?done=<id>` shows what was done."""
    group = _require_group(request, name)
    asked = request.GET if "mode" in request.GET else None
    form = ResetForm(asked, group=name, topics=group["topics"])
    said: dict[str, Any] = {
        "form": form,
        "topics": draw_boxes(group["topics"], request.GET.getlist("at")),
        "done": _find_reset(name, request.GET.get("done", "")),
        "pause": f"{reverse('group-pause', args=[name])}?{_keep_places(request)}",
    }
    if asked is None and request.method != "POST":
        return _show(request, group, **said)

    def plan() -> ResetPlan | None:
        if not form.is_valid():
            return None
        return services.plan_reset(name, form.cleaned_data["mode"], form.value, topics=form.places)

    return _preview(request, group, plan, said)


@login_required
def undo(request: HttpRequest, name: str, reset_id: int) -> HttpResponse:
    """A reset back to where a past one found the group, with the same preview."""
    group = _require_group(request, name)
    undone = _find_reset(name, str(reset_id))
    if undone is None:
        raise Http404(f"{name} has no reset {reset_id}, or it is too old to be listed.")
    return _preview(request, group, lambda: services.plan_undo(reset_id), {"undone": undone})


@login_required
def pause(request: HttpRequest, name: str) -> HttpResponse:
    """Asks what and why; stops it."""
    group = _require_group(request, name)
    form = PauseForm(request.POST if request.method == "POST" else None, topics=group["topics"])
    refused = ""
    if form.is_valid():
        reason = form.cleaned_data["reason"]
        try:
            for place in _each_place(form.places):
                services.pause_group(name, actor=_name(request), reason=reason, **place)
            return redirect(_next_page(request, name))
        except MessagingError as error:
            refused = f"Not paused: {error}"
    chosen = request.POST if request.method == "POST" else request.GET
    context = {
        "group": group,
        "topics": draw_boxes(group["topics"], chosen.getlist("at")),
        "form": form,
        "refused": refused or " ".join(str(error) for errors in form.errors.values() for error in errors),
        "next": chosen.get("next", ""),
    }
    return render(request, "logs/pause.html", context)


@login_required
@require_POST
def resume(request: HttpRequest, name: str) -> HttpResponse:
    group = _require_group(request, name)
    form = PlacesForm(request.POST, topics=group["topics"])
    if form.is_valid():
        for place in _each_place(form.places):
            services.resume_group(name, actor=_name(request), **place)
    return redirect(_next_page(request, name))


def _preview(
    request: HttpRequest, group: dict[str, Any], make_plan: Callable[[], ResetPlan | None], said: dict[str, Any]
) -> HttpResponse:
    """Execute the plan that was shown and lead to what it did; or show a plan, and why the one before was refused."""
    name, token = group["group"], request.POST.get("token", "")
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:MAX_REASON_CHARACTERS]
    refused = ""
    if request.method == "POST":
        try:
            done = _execute(request, name, token, reason)
            return redirect(f"{reverse('group-reset', args=[name])}?done={done['id']}#done")
        except MessagingError as error:
            refused = f"Not reset: {error}"
        except _NoReason:
            refused = ASK_WHY
    plan, problem, needs_pause = None, "", False
    try:
        plan = make_plan()
    except MessagingError as error:
        problem, needs_pause = str(error), isinstance(error, GroupNotPaused)
    drawn = plan and group_pictures.draw_plan(plan, group, changed=_find_changes(token, plan))
    more = {"plan": drawn, "problem": problem, "needs_pause": needs_pause, "refused": refused, "reason": reason}
    return _show(request, group, **said, **more)


class _NoReason(Exception):
    """Nobody said why."""


def _execute(request: HttpRequest, group: str, token: str, reason: str) -> dict[str, Any]:
    if not reason:
        raise _NoReason
    if read_token(token).group != group:
        raise Http404(f"This plan is not of {group}.")
    return services.execute_reset(token, actor=_name(request), reason=reason)


def _find_changes(token: str, plan: ResetPlan) -> set[int]:
    """Group partitions that the plan of an earlier preview would have moved otherwise."""
    if not token:
        return set()
    try:
        shown = read_token(token)
    except MessagingError:  # too old to be compared
        return set()
    return {
        move.group_partition_id
        for move in plan.moves
        if shown.targets.get(move.group_partition_id) != move.new
        or shown.reset_epochs.get(move.group_partition_id) != move.reset_epoch
    }


def _show(request: HttpRequest, group: dict[str, Any], **said: Any) -> HttpResponse:
    return render(request, "logs/reset.html", {"group": group, "read_at": timezone.localtime(), **said})


def _require_group(request: HttpRequest, name: str) -> dict[str, Any]:
    if not is_operator(request):
        raise PermissionDenied
    try:
        return selectors.describe_group(name)
    except GroupNotFound as error:
        raise Http404(str(error)) from error


def _find_reset(group: str, number: str) -> dict[str, Any] | None:
    id_ = read_id(number)
    found = [] if id_ is None else selectors.find_resets(group, before=id_ + 1, limit=1)
    return group_pictures.draw_reset(found[0]) if found and found[0]["id"] == id_ else None


def read_id(text: str) -> int | None:
    """The number in an address; None if it is none that a row could have."""
    return int(text) if text.isdecimal() and len(text) < len(str(MAX_BIGINT)) else None


def _each_place(places: Places | None) -> list[dict[str, Any]]:
    """As `pause_group` and `resume_group` take them."""
    if places is None:
        return [{}]
    return [{"topic": topic, "partitions": numbers} for topic, numbers in places.items()]


def _keep_places(request: HttpRequest) -> str:
    """The chosen places and the way back, for the page that pauses them."""
    kept = request.GET.copy()
    kept.clear()
    kept.setlist("at", request.GET.getlist("at"))
    kept["next"] = request.get_full_path()
    return kept.urlencode()


def _next_page(request: HttpRequest, group: str) -> str:
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if wanted and is_ours else reverse("group", args=[group])


def _name(request: HttpRequest) -> str:
    return request.user.get_username()
