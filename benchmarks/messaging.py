"""What the waking benchmark publishes, and the group that reads it: found like that of any installed app."""

from logs.declarations import Group, Topic
from logs.handlers import subscribe
from logs.rows import Record

OWNER = "benchmark"
FOREVER = {"retention.ms": -1}
WOKEN = Topic("benchmark.woken", owner=OWNER, partitions=4, configs=FOREVER)
SINGLES = Topic("benchmark.singles", owner=OWNER, partitions=4, configs=FOREVER)
READER = Group("benchmark.reader", owner=OWNER, auto_offset_reset="latest")


@subscribe(READER, WOKEN, SINGLES)
def ignore(record: Record) -> None:
    pass
