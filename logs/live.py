"""Sockets of the log: the page of a topic and the page of a group, kept up to date."""

import time
from typing import Any
from urllib.parse import parse_qs

from logs import group_pictures, parked_pictures, pictures, selectors
from mqsite.sockets import Hint, Sections, SnapshotSocket

RECORDS_SECONDS = 1.0  # the list of newest records is read at most this often
MEMBERS_SECONDS = 1.0  # so are a group's members, its resets and what it has parked


class TopicSocket(SnapshotSocket):
    """`/ws/topics/<name>/?window=newest|whole`"""

    subject_half = "logs"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.window: int | None = None
        self.records: dict[str, Any] = {"rows": []}
        self.records_at = float("-inf")

    def snapshot_key(self) -> tuple[Any, ...]:
        return (*super().snapshot_key(), self.asks_whole)

    @property
    def asks_whole(self) -> bool:
        return parse_qs(self.scope["query_string"].decode()).get("window") == ["whole"]

    def draw(self) -> Sections:
        topic = selectors.describe_topic(self.name)
        self.window = pictures.WHOLE_LOG if self.asks_whole else pictures.choose_window(topic, self.window)
        if time.monotonic() - self.records_at >= RECORDS_SECONDS:
            self.records_at = time.monotonic()
            self.records = pictures.draw_records(selectors.newest_records(self.name, limit=pictures.SHOWN_RECORDS))
        return {
            f"topic:{self.name}": pictures.draw_topic(topic, window=self.window),
            f"records:{self.name}": self.records,
        }


class GroupSocket(SnapshotSocket):
    """`/ws/groups/<name>/`: hears of every topic, because a group may read any."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.windows: dict[str, int] = {}
        self.lists: Sections = {}
        self.lists_at = float("-inf")
        self.parked = 0

    def hear(self, hint: Hint) -> None:
        if hint["half"] == "logs":
            super().hear(hint)

    def draw(self) -> Sections:
        group = selectors.describe_group(self.name)
        lists = self._draw_lists()
        group["members"] = len(lists[f"members:{self.name}"]["rows"])
        group["parked"] = self.parked
        sections: Sections = {
            f"group:{self.name}": pictures.draw_group(group),
            f"pauses:{self.name}": _draw_shape(group_pictures.draw_pauses(group)),
            **lists,
        }
        for topic in group["topics"]:
            name = topic["name"]
            self.windows[name] = pictures.choose_window(topic, self.windows.get(name))
            sections[f"topic:{name}"] = pictures.draw_topic(topic, window=self.windows[name])
        return sections

    def _draw_lists(self) -> Sections:
        if time.monotonic() - self.lists_at >= MEMBERS_SECONDS:
            self.lists_at = time.monotonic()
            state = selectors.group_state(selectors.require_group(self.name))
            members = group_pictures.draw_members(selectors.list_members(self.name), state)
            resets = _draw_shape(group_pictures.draw_resets(selectors.find_resets(self.name)))
            self.parked = selectors.count_parked(self.name)
            newest = selectors.newest_parked(self.name, limit=parked_pictures.MOST_NEWEST).records
            parked = parked_pictures.draw_newest(newest, self.parked)
            self.lists = {
                f"members:{self.name}": members,
                f"parked:{self.name}": parked,
                f"resets:{self.name}": resets,
            }
        return self.lists


def _draw_shape(part: dict[str, Any]) -> dict[str, Any]:
    """Enough for the page to see that it has another one; it then asks for it as HTML."""
    return {"shape": part["shape"]}
