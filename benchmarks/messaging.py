"""What the benchmarks publish and send, and who reads and handles it: found like that of any installed app."""

from benchmarks import stamps
from logs.declarations import Group, Topic
from logs.handlers import subscribe
from logs.rows import Record
from queues.declarations import Queue
from queues.handlers import handle
from queues.rows import Message

OWNER = "benchmark"
FOREVER = {"retention.ms": -1}
WOKEN = Topic("benchmark.woken", owner=OWNER, partitions=4, configs=FOREVER)
SINGLES = Topic("benchmark.singles", owner=OWNER, partitions=4, configs=FOREVER)
READER = Group("benchmark.reader", owner=OWNER, auto_offset_reset="latest")
WAKING = Queue("benchmark.waking", owner=OWNER)
STAMPED = Queue("benchmark.stamped", owner=OWNER)


@subscribe(READER, WOKEN, SINGLES)
def ignore(record: Record) -> None:
    pass


@handle(WAKING)
def ignore_message(message: Message) -> None:
    pass


@handle(STAMPED)
def stamp(message: Message) -> None:
    stamps.note(message.json()["sent"])
