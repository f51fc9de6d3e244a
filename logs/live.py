"""Sockets of the log: the page of a topic and the page of a group, kept up to date."""

import time
from typing import Any
from urllib.parse import parse_qs

from logs import pictures, selectors
from mqsite.sockets import Hint, Sections, SnapshotSocket

RECORDS_SECONDS = 1.0  # the list of newest records is read at most this often


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

    def hear(self, hint: Hint) -> None:
        if hint["half"] == "logs":
            super().hear(hint)

    def draw(self) -> Sections:
        group = selectors.describe_group(self.name)
        sections: Sections = {f"group:{self.name}": pictures.draw_group(group)}
        for topic in group["topics"]:
            name = topic["name"]
            self.windows[name] = pictures.choose_window(topic, self.windows.get(name))
            sections[f"topic:{name}"] = pictures.draw_topic(topic, window=self.windows[name])
        return sections
