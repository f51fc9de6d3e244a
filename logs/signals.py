"""What the log announces, after the commit that made it true. Sent with send_robust."""

from django.dispatch import Signal

records_published = Signal()  # topic: str, partitions: list[int], count: int
offsets_committed = Signal()  # topic: str, group: str, partition: int, offset: int, count: int
offsets_reset = Signal()  # topic: str, group: str, partitions: list[int]
group_paused = Signal()  # paused or resumed; topic: str, group: str, partitions: list[int]
