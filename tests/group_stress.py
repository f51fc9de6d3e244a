"""The processes of the groups' stress test: `python -m tests.group_stress ROLE FOLDER NAME SEED`."""

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django

from tests.log_stress import RETRY_SECONDS, STOP_FILE, Journal, is_loss

TOPIC = "orders"
PARTITIONS, MORE_PARTITIONS = 8, 10
EXACT, AT_LEAST = "exact", "at-least"  # groups
SESSION_SECONDS = 1.5
FAILURES = 0.03  # of handlers
DRAINED_FILE = "drained"  # members stop once it is there, all others at STOP_FILE
HANDLED = 'CREATE TABLE stress_handled (partition int, "offset" bigint, kind text, PRIMARY KEY (partition, "offset"))'


class Role:
    """One process, which notes in its journal what may not happen."""

    def __init__(self, folder: Path, name: str, seed: int) -> None:
        self.journal, self.chance = (
            Journal(folder / f"{name}.journal"),
            random.Random(f"{seed} {name} {time.time_ns()}"),
        )
        self.name, self.was_asked = name, False
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: Any) -> None:
        self.was_asked = True

    @contextlib.contextmanager
    def outliving_the_database(self, *expected: type[Exception]) -> Iterator[None]:
        """PostgreSQL may be killed at any moment; of the rest only what is expected may be raised."""
        from django.db import InterfaceError, OperationalError, close_old_connections

        from logs.errors import MemberFenced

        try:
            yield
        except MemberFenced as refusal:
            self.was_asked = True
            self.journal.note(does="is refused", error=repr(refusal))
        except expected as refusal:
            self.journal.note(does="is refused", error=repr(refusal))
        except (OperationalError, InterfaceError) as error:
            if not is_loss(error):
                self.journal.note(does="fail", error=repr(error))
            close_old_connections()
            time.sleep(RETRY_SECONDS)  # the server is away
        except Exception as error:
            self.journal.note(does="fail", error=repr(error))


class Publisher(Role):
    def run(self, stopped: Callable[[], bool]) -> None:
        from logs import services

        while not stopped():
            with self.outliving_the_database():
                batch = [services.NewRecord(n, key=f"{self.chance.random()}") for n in range(self.chance.randint(1, 8))]
                services.publish_many(TOPIC, batch, boundary="shop")
            time.sleep(0.02)  # not a wait: the others need the processor as well


class Member(Role):
    """Of one of the groups: joins, reads, and joins again whatever happens, unless a static one has replaced it."""

    def run(self, stopped: Callable[[], bool]) -> None:
        from logs.errors import UnknownMember
        from logs.services import read_group

        group, slot = self.name.rsplit("-", 1)
        instance = self.name if slot == "0" else None  # the first of each is a static member
        while not stopped() and not self.was_asked:
            with self.outliving_the_database(UnknownMember):
                with read_group(
                    group, boundary="billing", instance=instance, session_seconds=SESSION_SECONDS
                ) as reader:
                    while not stopped() and not self.was_asked:
                        if group == EXACT:
                            self._handle_exactly_once(reader)
                        else:
                            self._handle_at_least_once(reader)

    def _handle_exactly_once(self, reader: Any) -> None:
        from django.db import connection

        from logs.errors import Fenced

        with self.outliving_the_database(Fenced, KeyError):
            records = reader.poll(max_records=50, wait_seconds=0.2)
            if not records:
                return
            with reader.transaction(), connection.cursor() as cursor:
                places = ([r.partition for r in records], [r.offset for r in records])
                cursor.execute(
                    "INSERT INTO stress_handled SELECT p, o, 'read' FROM unnest(%s::int[], %s::bigint[]) u(p, o)",
                    places,
                )
                if self.chance.random() < FAILURES:
                    raise KeyError(self.name)

    def _handle_at_least_once(self, reader: Any) -> None:
        from logs.errors import Fenced

        with self.outliving_the_database(Fenced):
            records = reader.poll(max_records=50, wait_seconds=0.2)
            epochs = {a.partition: a.epoch for a in reader.assignments}
            for partition in {r.partition for r in records}:
                offsets = [r.offset for r in records if r.partition == partition]
                self.journal.note(
                    does="read", partition=partition, epoch=epochs[partition], offsets=offsets, pid=os.getpid()
                )
            reader.commit(is_soon=self.chance.random() < 0.3)


class Operator(Role):
    """Resets, pauses, adds partitions and moves log starts."""

    def run(self, stopped: Callable[[], bool]) -> None:
        from logs.declarations import Group
        from logs.errors import PlanOutdated, ResetBlocked, ResetOvertaken

        Group(EXACT, owner="billing", on_reset=clear_handled)
        acts = [self.reset, self.reset, self.reset_paused, self.pause, self.move_log_starts, self.grow]
        while not stopped():
            group = self.chance.choice([EXACT, AT_LEAST])
            with self.outliving_the_database(PlanOutdated, ResetBlocked, ResetOvertaken):
                act = self.chance.choice(acts)
                act(group)
                self.journal.note(does=act.__name__, group=group)
            time.sleep(self.chance.uniform(0.1, 0.8))
        for group in (EXACT, AT_LEAST):
            while not self._resume(group):
                pass

    def reset(self, group: str) -> None:
        from logs import services

        mode = self.chance.choice(["to-earliest", "to-offset", "to-latest", "by-duration"])
        value = {"to-offset": self.chance.randrange(200), "by-duration": "PT10S"}.get(mode)
        numbers = self.chance.choice([None, self.chance.sample(range(PARTITIONS), 3)])
        services.reset_offsets(group, mode, value, topics={TOPIC: numbers}, actor="ann")

    def reset_paused(self, group: str) -> None:
        from logs import services

        self._pause(group)
        services.reset_offsets(group, "shift-by", self.chance.randint(-20, 5), actor="ann")
        self._resume(group)

    def pause(self, group: str) -> None:
        self._pause(group)
        self._resume(group)

    def _pause(self, group: str) -> None:
        from logs import selectors, services, store

        services.pause_group(group, actor="ann", grace_seconds=self.chance.choice([0, 0.5]))
        row = selectors.require_group(group)
        before = selectors.committed_offsets(row)
        time.sleep(0.2)  # not a wait: members would show up now
        held = [h for h in store.holdings(row.id, using="default") if h.owner]
        if held or selectors.committed_offsets(row) != before:
            self.journal.note(does="fail", error=f"{group} is paused, yet {held} are held, or it went on")

    def _resume(self, group: str) -> bool:
        from logs import services

        with self.outliving_the_database():
            services.resume_group(group, actor="ann")
            return True
        return False

    def move_log_starts(self, group: str) -> None:
        """To what both groups have committed: nothing unread goes."""
        from logs import selectors, services

        committed = [selectors.committed_offsets(selectors.require_group(g)) for g in (EXACT, AT_LEAST)]
        least = {
            a["partition"]: min(a["committed"] or 0, b["committed"] or 0) for a, b in zip(*committed, strict=False)
        }
        services.delete_records(TOPIC, {n: offset // 2 for n, offset in least.items()}, actor="ann")

    def grow(self, group: str) -> None:
        from logs import services

        services.add_partitions(TOPIC, MORE_PARTITIONS, actor="ann")


def clear_handled(topic: str, targets: dict[int, int]) -> None:
    """From its target on a partition is handled anew; what a reset passes over counts as handled."""
    from django.db import connection

    with connection.cursor() as cursor:
        for partition, target in targets.items():
            cursor.execute('DELETE FROM stress_handled WHERE partition = %s AND "offset" >= %s', (partition, target))
            cursor.execute(
                "INSERT INTO stress_handled SELECT %(partition)s, o, 'skipped' FROM generate_series("
                '(SELECT coalesce(max("offset") + 1, 0) FROM stress_handled WHERE partition = %(partition)s),'
                " %(target)s - 1) o",
                {"partition": partition, "target": target},
            )


def main(role: str, folder: str, name: str, seed: str) -> None:
    django.setup()
    place = Path(folder)
    ends: Callable[[], bool] = (place / (DRAINED_FILE if role == "member" else STOP_FILE)).exists
    roles: dict[str, type[Any]] = {"publisher": Publisher, "member": Member, "operator": Operator}
    roles[role](place, name, int(seed)).run(ends)


if __name__ == "__main__":
    main(*sys.argv[1:])
