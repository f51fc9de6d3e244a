"""Consumer groups as plain Python: what the model test of groups holds PostgreSQL to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from logs.services import GroupReader, Record

Place = tuple[str, int]  # topic, partition


@dataclass
class Log:
    start: int = 0
    end: int = 0


@dataclass
class Stand:
    """Of a group on a partition."""

    committed: int | None = None
    replay_until: int = 0
    resets: int = 0
    is_paused: bool = False


@dataclass
class Group:
    name: str
    policy: str
    logs: dict[Place, Log]  # of all topics, shared
    stands: dict[Place, Stand] = field(default_factory=dict)
    is_paused: bool = False

    @property
    def topics(self) -> set[str]:
        return {topic for topic, _ in self.stands}

    def begin(self, place: Place) -> int | None:
        """Where the policy starts a group on a partition; None: it refuses. Every record is of this hour."""
        log = self.logs[place]
        starts = {"earliest": log.start, "by_duration:PT1H": log.start, "latest": log.end, "by_duration:PT0S": log.end}
        return starts.get(self.policy)

    def subscribe(self, topic: str) -> None:
        for place in self.logs:
            if place[0] == topic and place not in self.stands:
                committed = None if self.policy == "earliest" else self.begin(place)
                self.stands[place] = Stand(committed)

    def position(self, place: Place) -> int | None:
        """Where it reads on; None: nowhere."""
        committed = self.stands[place].committed
        return committed if committed is not None and committed >= self.logs[place].start else self.begin(place)

    def adopt(self, place: Place) -> int | None:
        """`position`, written down if retention had passed what was committed, or if it begins elsewhere than at the
        log start: the log end moves."""
        position, stand = self.position(place), self.stands[place]
        if position is not None and (stand.committed is not None or position != self.logs[place].start):
            stand.committed = position
        return position

    def shown_position(self, place: Place) -> int:
        """For plans and lag: a group that never committed stands at the log start."""
        return max(self.stands[place].committed or 0, self.logs[place].start)

    def move(self, place: Place, target: int) -> None:
        stand = self.stands[place]
        stand.replay_until = max(stand.replay_until, stand.committed or 0)
        stand.committed = target
        stand.resets += 1

    def is_still(self, place: Place) -> bool:
        return self.is_paused or self.stands[place].is_paused

    def aim(self, mode: str, value: int, place: Place, other: "Group | None") -> int | None:
        """Where a reset wants a partition; None: it is refused."""
        log, stand = self.logs[place], self.stands[place]
        shown = self.shown_position(place)
        if mode in {"to-current", "shift-by", "skip-one"} and not self.is_still(place):
            return None
        if mode == "from-group":
            return other.shown_position(place) if other and place in other.stands else None
        if (mode == "shift-by" and stand.committed is None) or (mode == "skip-one" and shown >= log.end):
            return None
        wanted = {
            "to-earliest": log.start,
            "to-latest": log.end,
            "to-offset": value,
            "from-file": value,
            "by-duration": log.start,
            "to-datetime": log.end,
            "to-current": log.end if stand.committed is None else stand.committed,
            "shift-by": shown + value - 3,
            "skip-one": shown + 1,
        }[mode]
        return min(max(wanted, log.start), log.end)


@dataclass
class Reader:
    """A member, and what it was given."""

    reader: GroupReader
    group: Group
    topics: list[str] | None
    is_alive: bool = True  # in the database's eyes
    is_former: bool = False  # its static self has joined again
    epochs: dict[Place, int] = field(default_factory=dict)
    positions: dict[Place, int] = field(default_factory=dict)
    committed: dict[Place, int] = field(default_factory=dict)
    lost: bool = False  # something it was given and has not committed

    @property
    def open(self) -> set[Place]:
        return {place for place in self.epochs if self.positions[place] != self.committed[place]}

    def take_up(self) -> None:
        """After a poll: what it holds now."""
        now = {(a.topic, a.partition): a for a in self.reader.assignments}
        for place in list(self.epochs):
            if place not in now or now[place].epoch != self.epochs[place]:
                self.lost |= place in self.open
                for kept in (self.epochs, self.positions, self.committed):
                    del kept[place]
        for place, assignment in now.items():
            if place not in self.epochs:
                assert assignment.position == self.group.adopt(place), (place, assignment)
                self.epochs[place] = assignment.epoch
                self.positions[place] = self.committed[place] = assignment.position

    def note(self, records: Sequence[Record]) -> None:
        """Each partition goes on where it stood, or where its policy says if retention passed that."""
        for record in records:
            place = (record.topic, record.partition)
            self._pass_expired(place)
            assert record.offset == self.positions[place], (place, record)
            assert record.is_replay == (record.offset < self.group.stands[place].replay_until)
            self.positions[place] += 1
        for place in self.epochs:
            self._pass_expired(place)

    def _pass_expired(self, place: Place) -> None:
        if self.positions[place] < self.group.logs[place].start:
            position = self.group.adopt(place)
            assert position is not None
            self.positions[place] = position

    def forget(self) -> None:
        """It reads again from what is committed."""
        for kept in (self.epochs, self.positions, self.committed):
            kept.clear()
        self.lost = False
