"""Pages of the messages of a queue: looked at without receiving them."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from mqsite.errors import MessagingError
from mqsite.words import say_count
from queues import listings, message_pictures, selectors
from queues.errors import QueueNotFound
from queues.forms import STATES, SearchForm
from queues.queue_views import is_operator

LONGEST_ID = 18  # digits


@login_required
def queue_messages(request: HttpRequest, name: str) -> HttpResponse:
    """`?state=dead&text=…&key=…&after=…` lists messages; `?find=…` leads to the one of an id or a deduplication id."""
    queue = _require_queue(name)
    find = request.GET.get("find", "").replace("\0", "").strip()
    not_found = ""
    if find:
        id_ = _find(name, find)
        if id_ is not None:
            return redirect("queue-message", name, id_)
        not_found = f"No deduplication id “{find[:100]}” is remembered in {name}, and it is no number of a message."
    form = SearchForm(request.GET)
    state = form.cleaned_data["state"] if form.is_valid() else ""
    if state not in STATES:
        state = "ready"
    page, problem = None, " ".join(str(error) for errors in form.errors.values() for error in errors)
    if form.is_valid():
        try:
            page = _read_page(name, state, form)
        except MessagingError as error:
            problem = str(error)
    kept = {key: request.GET.get(key, "") for key in ("text", "key", "path") if request.GET.get(key)}
    context = {
        "queue": queue,
        "state": state,
        "states": [
            _draw_state(queue, each, state, kept) for each in STATES if each != "waiting" or queue["is_ordered"]
        ],
        "form": form,
        "page": page and _draw_page(page, {"state": state, **kept}),
        "problem": problem or not_found,
        "again": f"?{urlencode({'state': state, **kept})}",
        "kept": kept,
        "is_later": bool(request.GET.get("after")),
        "is_operator": is_operator(request),
    }
    return render(request, "queues/messages.html", context)


@login_required
def message(request: HttpRequest, name: str, id: int) -> HttpResponse:
    """A message where it is now; else what became of it, as far as its queue keeps that."""
    found = listings.find_message(id)
    if found is not None and found["queue"] != name:
        return redirect("queue-message", found["queue"], id)
    queue = _require_queue(name)
    known = id <= listings.LAST_ID
    outcomes = selectors.find_outcomes(name, id=id) if known else []
    keeps = selectors.require_queue(name).outcome_seconds
    context: dict[str, Any] = {
        "queue": queue,
        "id": id,
        "message": found and message_pictures.draw_message(found),
        "gone": message_pictures.draw_gone(outcomes) if outcomes else "",
        "outcomes": message_pictures.draw_outcomes(outcomes, keeps)["rows"],
        "keeps": keeps,
        "is_operator": is_operator(request),
    }
    return render(request, "queues/message.html", context, status=200 if found or outcomes else 404)


def _find(queue: str, asked: str) -> int | None:
    found = listings.find_deduplicated(queue, asked)
    if found is None and asked.isascii() and asked.isdecimal() and len(asked) <= LONGEST_ID:
        return int(asked)
    return found


def _read_page(name: str, state: str, form: SearchForm) -> listings.Page:
    given = form.cleaned_data
    return listings.list_messages(
        name,
        state=state,
        text=given["text"] or None,
        group_key=given["key"] or None,
        json_path=given["path"] or None,
        after=form.mark,
    )


def _draw_page(page: listings.Page, asked: dict[str, str]) -> dict[str, Any]:
    after = page.after and f"?{urlencode({**asked, 'after': f'{page.after[0]},{page.after[1]}'})}"
    end = "all there are" if after is None else "more to look at"
    return {
        "rows": [message_pictures.draw_message_row(found) for found in page.messages],
        "any_letter": any(found["is_letter"] for found in page.messages),
        "said": f"{say_count(len(page.messages))} found, {say_count(page.scanned)} looked at: {end}.",
        "after": after or "",
    }


def _find_states(queue: dict[str, Any]) -> list[str]:
    return [state for state in STATES if state != "waiting" or queue["is_ordered"]]


def _draw_state(queue: dict[str, Any], each: str, state: str, kept: dict[str, str]) -> dict[str, Any]:
    count = queue["counts"][each]
    return {
        "name": each,
        "count": f"{say_count(count)}{'+' if count >= queue['count_limit'] else ''}",
        "href": f"?{urlencode({'state': each, **kept})}",
        "is_here": each == state,
    }


def _require_queue(name: str) -> dict[str, Any]:
    try:
        return selectors.describe_queue(name)
    except QueueNotFound as error:
        raise Http404(str(error)) from error
