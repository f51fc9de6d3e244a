"""Each group reads a topic of its own with 4 partitions."""

from logs.declarations import Group, Topic
from logs.handlers import subscribe
from queues.declarations import Queue
from queues.handlers import handle

OWNER = "benchmark"
COUNT = 50


def ignore(_: object) -> None:
    pass


for number in range(COUNT):
    topic = Topic(f"idle.topic-{number}", owner=OWNER, partitions=4)
    subscribe(Group(f"idle.group-{number}", owner=OWNER), topic)(ignore)
    handle(Queue(f"idle.queue-{number}", owner=OWNER))(ignore)
