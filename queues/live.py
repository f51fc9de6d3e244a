"""Socket of the queue: the page of a queue, kept up to date."""

from mqsite.sockets import Sections, SnapshotSocket
from queues import pictures, selectors


class QueueSocket(SnapshotSocket):
    """`/ws/queues/<name>/`"""

    subject_half = "queues"

    def draw(self) -> Sections:
        queue = selectors.describe_queue(self.name)
        return {f"queue:{self.name}": pictures.draw_queue(queue), f"dead:{self.name}": pictures.draw_dead(queue)}
