"""A member of a group in this process: it polls, commits what it got, and leaves."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from django.db import close_old_connections, connections, transaction

from logs import rows, store
from logs.errors import Fenced, MemberFenced, NotSubscribed, TopicNotFound, UnknownMember
from logs.services.holding import Assignment, begin_batch, commit_offsets, fenced, release_partition
from logs.services.members import (
    SESSION_SECONDS,
    Membership,
    describe_process,
    join_group,
    keep_member,
    leave_group,
    sync_member,
)
from logs.services.reading import MAX_FETCH_BYTES, MAX_FETCH_RECORDS, fetch_on
from logs.services.waiting import wait_for_any
from mqsite.errors import Invalid
from mqsite.sql import in_transaction

logger = logging.getLogger(__name__)

SYNC_SECONDS = 0.5  # how often a member looks whether its share has changed
BEAT_SECONDS = 3.0  # how often it is heard of, or three times a session
MAX_POLL_SECONDS = 300.0  # Kafka's max.poll.interval.ms: a member that polls less often is taken for stuck


class GroupReader:
    """Reads for a group as one of its members: see `read_group`. For one thread at a time."""

    def __init__(self, membership: Membership, *, using: str = "default") -> None:
        self.membership = membership
        self._using = using
        self._held: dict[int, Assignment] = {}
        self._positions: dict[int, int] = {}  # the next offset to fetch
        self._committed: dict[int, int] = {}  # the next offset of the group
        self._leaving: dict[int, float] = {}  # since when
        self._lost: list[Assignment] = []  # with records that were given out and not committed
        self._is_unsure = False  # what it holds, and where, is to be asked for
        self._is_stand_in = False  # for a client that keeps the epochs it was told
        self._ready: deque[int] = deque()  # what seems to have more
        self._sync_at = 0.0
        self._beat_at = 0.0
        self.polled_at = time.monotonic()

    def __str__(self) -> str:
        return f"{self.membership.member} of {self.membership.group}"

    @property
    def assignments(self) -> list[Assignment]:
        """What the member may read, by topic and partition."""
        return sorted(self._held.values(), key=lambda a: (a.topic, a.partition))

    @property
    def held_ids(self) -> list[int]:
        """Group partition ids. Copied in one step: the heart asks from another thread."""
        return list(self._held)

    @property
    def positions(self) -> dict[Assignment, int]:
        """The next offset that a poll reads, of each."""
        return {a: self._positions[a.group_partition_id] for a in self.assignments}

    def take_up(self, positions: Mapping[tuple[str, int, int], int]) -> None:
        """Go on for a member that was served elsewhere: hold what it holds, let go of what it shall give up.

        `positions`: (topic, partition, epoch) to the next offset, of what was read but is not committed. Of what the
        member no longer holds in that epoch it is ignored: after a reset the committed offset counts.
        """
        self._is_stand_in = True
        self._sync_if_due()
        self._sync_at = self._beat_at = 0.0  # now that it is known what is held: keep it, or let go
        self._sync_if_due()
        for id_, a in self._held.items():
            self._positions[id_] = positions.get((a.topic, a.partition, a.epoch), self._positions[id_])

    def poll(
        self, *, max_records: int = 500, max_bytes: int = MAX_FETCH_BYTES, wait_seconds: float = 0.0
    ) -> list[rows.Record]:
        """The next records of what the member holds, in order per partition; none when there are none within
        `wait_seconds`. Partitions take turns."""
        if not 1 <= max_records <= MAX_FETCH_RECORDS:
            raise Invalid(reason=f"max_records is {max_records}; allowed are 1 to {MAX_FETCH_RECORDS:,}.")
        self.polled_at = time.monotonic()
        deadline = self.polled_at + wait_seconds
        while True:
            self._sync_if_due()
            records = self._fetch(max_records, max_bytes)
            remaining = deadline - time.monotonic()
            if records or remaining <= 0:
                return records
            self._wait(min(remaining, SYNC_SECONDS))
            self.polled_at = time.monotonic()

    def commit(self, *, metadata: str | None = None, is_soon: bool = False) -> None:
        """Commit what the polls gave, per partition. If some were fenced the others are committed, and it says so,
        also if a later poll has noticed it before.

        `metadata` and `is_soon` are those of `commit_offset`. Inside a transaction this must be its last statement,
        and one fenced partition fails it as a whole: `transaction` does all of that.
        """
        offsets = {a: self._positions[id_] for id_, a in self._held.items() if self._is_open(id_)}
        if not offsets and not self._lost:
            return
        going_on = commit_offsets(
            offsets, metadata=dict.fromkeys(offsets, metadata), is_soon=is_soon, using=self._using
        )
        refused = [*self._lost, *(a for a in offsets if a not in going_on)]
        if in_transaction(self._using):
            transaction.on_commit(lambda: self._note_committed(offsets, going_on), using=self._using)
        else:
            self._note_committed(offsets, going_on)
        if refused:
            self._lost.clear()
            for assignment in refused:
                if self._held.get(assignment.group_partition_id) == assignment:
                    self._drop(assignment.group_partition_id)
            self._sync_at = 0.0
            raise fenced(refused[0], using=self._using)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """The block's writes and the commit of what was polled are one transaction, which may not be part of another.
        If it fails, the same records come again with the next poll."""
        try:
            with transaction.atomic(using=self._using, durable=True):
                if self._lost:
                    raise fenced(self._lost[0], using=self._using)
                for id_ in sorted(id_ for id_ in self._held if self._is_open(id_)):
                    begin_batch(self._held[id_], using=self._using)
                yield
                self.commit()
        except BaseException:
            self.rewind()
            raise

    def rewind(self) -> None:
        """Read again from what is committed, in new epochs: it may not be known whether the last commit was done, and
        the server may still be at it."""
        self._positions |= self._committed
        self._ready.clear()
        self._lost.clear()
        self._is_unsure = True
        self._sync_at = 0.0

    def close(self) -> None:
        """Leave the group; a static member only stops, and keeps its partitions for the rest of its session."""
        if not self.membership.is_static:
            leave_group(self.membership, using=self._using)

    def _sync_if_due(self) -> None:
        now = time.monotonic()
        if now < self._sync_at:
            return
        if now >= self._beat_at:
            keep_member(self.membership, list(self._held), using=self._using)
            self._beat_at = now + min(BEAT_SECONDS, self.membership.heartbeat_seconds)
        known = [] if self._is_unsure else list(self._held.values())
        shares = sync_member(self.membership, known, is_new=not self._is_stand_in, using=self._using)
        self._sync_at = now + SYNC_SECONDS
        for assignment in list(self._held.values()) if self._is_unsure else shares.lost:
            self._lose(assignment)
        self._is_unsure = False
        for assignment in (*shares.gained, *shares.leaving):
            id_ = assignment.group_partition_id
            if id_ not in self._held:
                self._held[id_] = assignment
                self._positions[id_] = self._committed[id_] = assignment.position
        leaving = [a.group_partition_id for a in shares.leaving]
        self._leaving = {id_: self._leaving.get(id_, now) for id_ in leaving}
        for id_, since in list(self._leaving.items()):
            if not self._is_open(id_):
                self._release(id_)
            elif now - since > MAX_POLL_SECONDS:  # who never commits must not keep it from others for ever
                release_partition(self._held[id_], using=self._using)
                self._lose(self._held[id_])
        self._look_for_ready()  # also beside one that has much to read

    def _fetch(self, max_records: int, max_bytes: int) -> list[rows.Record]:
        if not self._ready:
            self._look_for_ready()
        positions = dict(self._positions)
        try:
            return self._fetch_in_turns(max_records, max_bytes)
        except BaseException:  # what was read before it failed is not given out
            self._positions |= {id_: position for id_, position in positions.items() if id_ in self._held}
            self._ready.clear()
            raise

    def _fetch_in_turns(self, max_records: int, max_bytes: int) -> list[rows.Record]:
        records: list[rows.Record] = []
        room = max_bytes
        while self._ready and room > 0:
            id_ = self._ready[0]
            wanted = max_records - len(records)
            found = self._fetch_one(id_, wanted, room) if id_ in self._held and id_ not in self._leaving else []
            records += found
            if len(found) == wanted:
                self._ready.rotate(-1)
                break
            self._ready.popleft()
            room -= sum(len(r.key or b"") + len(r.value or b"") for r in found)
        return records

    def _fetch_one(self, id_: int, max_records: int, max_bytes: int) -> list[rows.Record]:
        held, position = self._held[id_], self._positions[id_]
        try:
            position, found = fetch_on(held, position, max_records=max_records, max_bytes=max_bytes, using=self._using)
        except (Fenced, NotSubscribed, TopicNotFound):  # somebody else's by now, or gone: the others go on
            self._lose(held)
            self._sync_at = 0.0
            return []
        self._positions[id_] = found[-1].offset + 1 if found else position
        return found

    def _look_for_ready(self) -> None:
        wanted = self._wanted()
        ends = {b.partition_id: b.log_end for b in store.bounds(list(wanted), using=self._using)} if wanted else {}
        for id_, assignment in self._held.items():
            is_behind = ends.get(assignment.partition_id, 0) > self._positions[id_]
            if is_behind and id_ not in self._leaving and id_ not in self._ready:
                self._ready.append(id_)

    def _wanted(self) -> dict[int, int]:
        """Partition id to the offset that is wanted next."""
        return {a.partition_id: self._positions[id_] for id_, a in self._held.items() if id_ not in self._leaving}

    def _wait(self, seconds: float) -> None:
        wanted = self._wanted()
        if wanted:
            wait_for_any(wanted, seconds=seconds, using=self._using)
        else:
            time.sleep(seconds)

    def _is_open(self, id_: int) -> bool:
        """Whether records were given out that are not committed."""
        return self._positions[id_] != self._committed[id_]

    def _note_committed(self, offsets: dict[Assignment, int], going_on: dict[Assignment, bool]) -> None:
        for assignment, goes_on in going_on.items():
            id_ = assignment.group_partition_id
            if self._held.get(id_) != assignment:
                continue
            self._committed[id_] = offsets[assignment]
            if not goes_on or id_ in self._leaving:
                self._release(id_)

    def _lose(self, assignment: Assignment) -> None:
        if self._is_open(assignment.group_partition_id):
            self._lost.append(assignment)
        self._drop(assignment.group_partition_id)

    def _release(self, id_: int) -> None:
        release_partition(self._held[id_], using=self._using)
        self._drop(id_)

    def _drop(self, id_: int) -> None:
        for kept in (self._held, self._positions, self._committed):
            kept.pop(id_, None)
        self._leaving.pop(id_, None)


class _Heart:
    """Keeps a member alive while its handler is at work, for at most MAX_POLL_SECONDS after its last poll."""

    def __init__(self, reader: GroupReader, *, using: str) -> None:
        self._reader = reader
        self._using = using
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        seconds = min(BEAT_SECONDS, self._reader.membership.heartbeat_seconds)
        while not self._stopped.wait(seconds):
            if time.monotonic() - self._reader.polled_at > MAX_POLL_SECONDS:
                logger.warning("%s has not polled for %g s; it is left to expire.", self._reader, MAX_POLL_SECONDS)
                continue
            try:
                close_old_connections()
                keep_member(self._reader.membership, self._reader.held_ids, using=self._using)
            except (UnknownMember, MemberFenced):  # the next poll says so
                break
            except Exception:  # any outage of the database; the next beat tries again
                logger.exception("No heartbeat of %s", self._reader)
                connections.close_all()
        connections.close_all()


@contextmanager
def read_group(
    group: str,
    *,
    boundary: str,
    topics: Sequence[str] | None = None,
    instance: str | None = None,
    session_seconds: float = SESSION_SECONDS,
    using: str = "default",
) -> Iterator[GroupReader]:
    """Be a member of a group for the length of the block, alive however long the work between two polls takes
    (up to MAX_POLL_SECONDS).

    with read_group("billing", boundary="billing") as reader:
        while True:
            records = reader.poll(wait_seconds=5)
            with reader.transaction():
                for record in records: ...
    """
    membership = join_group(
        group,
        boundary=boundary,
        topics=topics,
        instance=instance,
        client=describe_process(),
        session_seconds=session_seconds,
        using=using,
    )
    reader = GroupReader(membership, using=using)
    heart = _Heart(reader, using=using)
    try:
        yield reader
    finally:
        heart.stop()
        reader.close()
