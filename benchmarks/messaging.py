"""What the benchmarks publish and send, and who reads and handles it: found like that of any installed app."""

from collections.abc import Sequence

from benchmarks import stamps
from benchmarks.business import insert_business_row
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

# What the consumers' half handles: in batches, one by one with a row each, and one by one on time.
BATCHES = Topic("benchmark.batches", owner=OWNER, partitions=8, configs=FOREVER)
ROWS = Topic("benchmark.rows", owner=OWNER, partitions=8, configs=FOREVER)
TIMED = Topic("benchmark.timed", owner=OWNER, partitions=4, configs=FOREVER)
HANDLER = Group("benchmark.handler", owner=OWNER, auto_offset_reset="earliest")
BATCH_QUEUE = Queue("benchmark.batches", owner=OWNER)
ROW_QUEUE = Queue("benchmark.rows", owner=OWNER)
LEASED_ROW_QUEUE = Queue("benchmark.leased-rows", owner=OWNER)


@subscribe(READER, WOKEN, SINGLES)
def ignore(record: Record) -> None:
    pass


@handle(WAKING)
def ignore_message(message: Message) -> None:
    pass


@handle(STAMPED)
def stamp(message: Message) -> None:
    stamps.note(message.json()["sent"])


@subscribe(HANDLER, TIMED)
def stamp_record(record: Record) -> None:
    stamps.note(record.json()["sent"])


@subscribe(HANDLER, BATCHES, batch=True)
def count_records(records: Sequence[Record]) -> None:
    stamps.note(len(records))


@handle(BATCH_QUEUE, batch=True)
def count_messages(messages: Sequence[Message]) -> None:
    stamps.note(len(messages))


@subscribe(HANDLER, ROWS)
def write_for_record(_: Record) -> None:
    insert_business_row()
    stamps.note(1)


@handle(ROW_QUEUE)
def write_for_message(_: Message) -> None:
    insert_business_row()
    stamps.note(1)


@handle(LEASED_ROW_QUEUE, delivery="at_least_once")
def write_for_leased_message(_: Message) -> None:
    """Its INSERT is a transaction of its own."""
    insert_business_row()
    stamps.note(1)
