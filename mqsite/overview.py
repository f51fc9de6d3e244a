"""The front page: who is behind or waits for a person, every topic's strips, every queue's lanes; first as HTML, then
live."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

import logs.parked_pictures
import logs.pictures
import logs.selectors
import queues.pictures
import queues.selectors
from mqsite import selectors
from mqsite.sockets import Sections, SnapshotSocket
from mqsite.words import say_age, say_counted

MOST_TOPICS = MOST_QUEUES = 20
MOST_PROBLEMS = 5
MOST_FULL_STRIPS = 24  # partitions drawn with named markers; topics after that are packed
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def overview(request: HttpRequest) -> HttpResponse:
    payload_free = not request.user.is_authenticated
    if payload_free and not settings.MQSITE_OPEN_OVERVIEW:
        return redirect_to_login(request.get_full_path())
    sections = draw_sections({}, payload_free=payload_free)
    context = {
        "head": sections["head"],
        "topics": [part for key, part in sections.items() if key.startswith("topic:")],
        "queues": [part for key, part in sections.items() if key.startswith("queue:")],
        "links": not payload_free,
    }
    return render(request, "mqsite/overview.html", context)


class OverviewSocket(SnapshotSocket):
    """`/ws/overview/`"""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.windows: dict[str, int] = {}

    def is_allowed(self) -> bool:
        return super().is_allowed() or settings.MQSITE_OPEN_OVERVIEW

    def draw(self) -> Sections:
        return draw_sections(self.windows, payload_free=self.payload_free)


def draw_sections(windows: dict[str, int], *, payload_free: bool) -> Sections:
    """Everything on the page, by part. `windows`: those of the last picture, so that strips do not jump."""
    topics = logs.selectors.overview(limit=MOST_TOPICS)
    waiting = queues.selectors.overview(limit=MOST_QUEUES)
    sections: Sections = {"head": draw_head(topics, waiting, payload_free=payload_free)}
    full = 0
    for topic in topics:
        name = topic["name"]
        windows[name] = logs.pictures.choose_window(topic, windows.get(name))
        full += topic["partition_count"]
        sections[f"topic:{name}"] = logs.pictures.draw_topic(
            topic, window=windows[name], packed=full > MOST_FULL_STRIPS, payload_free=payload_free
        )
    for queue in waiting:
        sections[f"queue:{queue['name']}"] = queues.pictures.draw_queue(queue, payload_free=payload_free)
    return sections


def draw_head(topics: list[Any], waiting: list[Any], *, payload_free: bool) -> dict[str, Any]:
    """The sentence, the counts and what needs attention."""
    workers = selectors.workers()
    problems = _find_problems(topics, waiting, workers, payload_free)
    return {
        "heading": _say_heading(problems, any_subject=bool(topics or waiting)),
        "title": f"{len(problems)} need attention · Overview · mqsite" if problems else "Overview · mqsite",
        "counts": _count(topics, waiting, workers, links=not payload_free),
        "checked": f"checked {timezone.localtime():%H:%M:%S %Z}",
        "problems": [
            {key: p[key] for key in ("key", "kind", "title", "action")}
            | {"text": f"{p['lead']} {p['text']}".strip(), "href": "" if payload_free else p["href"]}
            for p in problems[:MOST_PROBLEMS]
        ],
        "more": f"and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else "",
        "drift": [] if payload_free else selectors.drift(),
    }


def _find_problems(
    topics: list[Any], waiting: list[Any], workers: dict[str, Any], payload_free: bool
) -> list[dict[str, Any]]:
    late = logs.pictures.find_problems(topics, payload_free=payload_free)
    for problem in late:
        problem["href"] = reverse("group", args=[problem["group"]])
    stuck = queues.pictures.find_problems(waiting, payload_free=payload_free)
    for problem in stuck:
        problem["href"] = reverse("queue", args=[problem["queue"]]) + ("#dead" if problem["kind"] == "bad" else "")
    parked = logs.parked_pictures.find_problems(logs.selectors.summarise_parked())
    for problem in parked:
        topic = urlencode({"topic": problem["topic"]})
        problem["href"] = f"{reverse('group-parked', args=[problem['group']])}?{topic}"
    found = sorted([*late, *stuck, *parked], key=lambda p: p["rank"])
    if not workers["alive"] and (topics or waiting):
        found.insert(0, _say_no_worker())
    return found


def _say_no_worker() -> dict[str, Any]:
    return {
        "key": "workers",
        "kind": "bad",
        "title": "No worker is alive",
        "lead": "",
        "text": "Records and messages wait until one starts. Readers over the REST API are not affected.",
        "action": "See the workers",
        "href": reverse("workers"),
    }


def _say_heading(problems: list[dict[str, Any]], *, any_subject: bool) -> str:
    if not any_subject:
        return "Nothing is declared yet."
    if not problems:
        return "Everything is keeping up."
    if len(problems) == 1:
        return f"{problems[0]['title']}. The rest is keeping up."
    many = NUMBERS[len(problems)] if len(problems) < len(NUMBERS) else f"{len(problems):,}"
    return f"{many} things need attention. The rest is keeping up."


def _count(topics: list[Any], waiting: list[Any], workers: dict[str, Any], *, links: bool) -> list[dict[str, str]]:
    readers = {name for topic in topics for name in topic["groups"]}
    beat = workers["slowest_heartbeat_seconds"]
    alive = say_counted(workers["alive"], "worker")
    if beat is not None:
        alive += f", slowest heartbeat {say_age(beat)} ago"
    return [
        {"text": _or_more(len(topics), MOST_TOPICS, "topic"), "href": reverse("topics") if links else ""},
        {"text": say_counted(len(readers), "consumer group"), "href": reverse("groups") if links else ""},
        {"text": _or_more(len(waiting), MOST_QUEUES, "queue"), "href": reverse("queues") if links else ""},
        {"text": alive, "href": reverse("workers") if links else ""},
    ]


def _or_more(count: int, limit: int, noun: str) -> str:
    return f"the {limit} worst {noun}s" if count >= limit else say_counted(count, noun)
