"""Socket of the queue: the page of a queue, kept up to date."""

import time
from typing import Any

from mqsite.sockets import Sections, SnapshotSocket
from queues import listings, message_pictures, pictures, selectors

LISTS_SECONDS = 1.0  # who handles it, redrives and outcomes are read at most this often


class QueueSocket(SnapshotSocket):
    """`/ws/queues/<name>/`"""

    subject_half = "queues"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lists: Sections = {}
        self.lists_at = float("-inf")

    def draw(self) -> Sections:
        queue = selectors.describe_queue(self.name)
        return {
            f"queue:{self.name}": pictures.draw_queue(queue),
            f"pauses:{self.name}": {"shape": message_pictures.draw_pause(queue)["shape"]},
            f"dead:{self.name}": pictures.draw_dead(queue),
            **self._draw_lists(),
        }

    def _draw_lists(self) -> Sections:
        if time.monotonic() - self.lists_at >= LISTS_SECONDS:
            self.lists_at = time.monotonic()
            keeps = selectors.require_queue(self.name).outcome_seconds
            outcomes = listings.list_outcomes(self.name) if keeps else []
            self.lists = {
                f"holders:{self.name}": message_pictures.draw_holders(listings.list_holders(self.name)),
                f"redrives:{self.name}": message_pictures.draw_redrives(listings.list_redrives(self.name)),
                f"outcomes:{self.name}": message_pictures.draw_outcomes(outcomes, keeps),
            }
        return self.lists
