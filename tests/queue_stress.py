"""The processes of the queues' stress test: `python -m tests.queue_stress ROLE FOLDER NAME SEED`."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

from tests.group_stress import Role
from tests.log_stress import STOP_FILE

PLAIN, ORDERED, LETTERS = "bookings", "orders", "lost"
OWNER = "sales"
KEYS = 6
SHARED_PER_SECOND = 5
LEASE_SECONDS = 1.0
FAILURES, SUICIDES = 0.04, 0.002  # of handlers
DRAINED_FILE = "drained"  # consumers and the operator stop once it is there, senders at STOP_FILE
DONE = "CREATE TABLE stress_done (n bigserial PRIMARY KEY, message bigint UNIQUE, payload text UNIQUE)"


class Sender(Role):
    """Alone or in transactions, kept or rolled back; what has an id is sent again until it is answered."""

    count = 0

    def run(self, stopped: Callable[[], bool]) -> None:
        while not stopped():
            queue, manner = self.chance.choice([PLAIN, ORDERED]), self.chance.choice(["own", "own", "kept", "undone"])
            with_ids, size = self.chance.random() < 0.3, self.chance.randint(1, 6)
            batch = [self._make(queue, with_ids) for _ in range(size)]
            while not self._send(queue, manner, batch) and with_ids and manner != "undone" and not stopped():
                pass
            time.sleep(0.05)  # not a wait: the others need the processor as well

    def _send(self, queue: str, manner: str, batch: list[Any]) -> bool:
        from django.db import transaction

        from queues import services

        with self.outliving_the_database(ZeroDivisionError):
            if manner == "own":
                sent = services.send_many(queue, [*batch, *self._share(queue)])
            else:
                with transaction.atomic():
                    sent = services.send_many(queue, batch[:2])
                    for other in self.chance.sample([PLAIN, ORDERED], 2):
                        services.send_many(other, self._share(other))
                    sent += services.send_many(queue, batch[2:])
                    if manner == "undone":
                        self.journal.note(does="undo", payloads=[m.payload for m in batch])
                        _ = 1 / 0
            self.journal.note(does="send", ids=[s.id for s in sent[: len(batch)]])
            return True
        return False

    def _make(self, queue: str, with_id: bool) -> Any:
        from queues.services import NewMessage

        self.count += 1
        key = f"key {self.chance.randrange(KEYS)}"
        payload = f"{queue}/{self.name}/{os.getpid()}/{key}/{self.count}"
        made = NewMessage(payload, group_key=key, dedup_id=payload if with_id else None)
        if queue == ORDERED:
            return made
        return made._replace(priority=self.chance.choice([0, 0, 5]), delay_seconds=self.chance.choice([0, 0, 0.5]))

    def _share(self, queue: str) -> list[Any]:
        """What all senders send at about the same time, in any order: only one of them does."""
        from queues.services import NewMessage

        now = int(time.time() * SHARED_PER_SECOND)
        ids = [f"{queue} {now - n}" for n in range(self.chance.randint(1, 3))]
        self.chance.shuffle(ids)
        return [NewMessage(id_, group_key=id_[-1], dedup_id=id_) for id_ in ids]


class Worker(Role):
    """The real loop with its heartbeat and its sweep, in transaction mode."""

    def run(self, stopped: Callable[[], bool]) -> None:
        from mqsite import workers
        from queues import consumer
        from queues.declarations import Queue
        from queues.handlers import handle

        for name in (PLAIN, ORDERED):
            handle(Queue(name, owner=OWNER))(self.handle)
        workers.start_timers()
        while not stopped():
            for name in (PLAIN, ORDERED):
                with self.outliving_the_database(*failures()):
                    consumer.drain(name, stop=stopped)
            time.sleep(0.02)  # not a wait: the others need the processor as well
        workers.stop_timers()

    def handle(self, message: Any) -> None:
        from django.db import IntegrityError

        try:
            write_done(message)
        except IntegrityError as error:
            self.journal.note(does="fail", error=repr(error))
            raise
        if self.chance.random() < SUICIDES:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.chance.random() < FAILURES:
            raise KeyError(self.name)


class Holder(Role):
    """Receives by hand, and does whatever one may do with a lease, in time or too late."""

    left: tuple[()] | list[Callable[[Any], None]] = ()

    def run(self, stopped: Callable[[], bool]) -> None:
        from queues import services

        while not stopped():
            with self.outliving_the_database():
                queue = self.chance.choice([PLAIN, ORDERED])
                most = self.chance.randint(1, 8)
                lease = services.receive(
                    queue, holder=self.name, max_messages=most, lease_seconds=LEASE_SECONDS, boundary=OWNER
                )
                if lease is None:
                    time.sleep(0.05)  # not a wait: the others need the processor as well
                    continue
                self.choose(queue)(lease)
                self.use_it_again(lease)

    def choose(self, queue: str) -> Callable[[Any], None]:
        """Each of the acts comes its turn, however little the machine gets through: the rare ones first."""
        if not self.left:
            others = [self.ack_in_a_transaction] * 6 + [self.nack, self.reject, self.give_back, self.ack, self.ack]
            self.left = [*self.chance.sample(others, len(others)), self.be_late, self.ack]
        return self.ack_in_a_transaction if self.left[-1] == self.ack and queue != PLAIN else self.left.pop()

    def ack_in_a_transaction(self, lease: Any) -> None:
        """Some may be lost; what is written for them is taken back."""
        from django.db import IntegrityError, transaction

        from queues import services
        from queues.errors import LeaseLost

        for message in lease.messages:
            try:
                with transaction.atomic():
                    write_done(message)
                    services.ack_handled(message)
            except LeaseLost:
                self.journal.note(does="lose")
            except IntegrityError as error:  # another has done it, so the lease must be lost
                if not services.extend(lease.token, [message.id], queue=lease.queue):
                    self.journal.note(does="fail", error=repr(error))

    def ack(self, lease: Any) -> None:
        from queues import services

        ids = [m.id for m in lease.messages]
        lost = services.ack(lease.token, ids, queue=lease.queue)
        acked = [m.text for m in lease.messages if m.id not in lost]
        self.journal.note(does="ack", payloads=acked, at=time.time())

    def nack(self, lease: Any) -> None:
        from queues import services

        delay = self.chance.choice([None, 0, 0.3])
        services.nack(lease.token, [m.id for m in lease.messages[::2]], queue=lease.queue, delay_seconds=delay)
        self.ack_in_a_transaction(lease)  # the others; the first are lost

    def reject(self, lease: Any) -> None:
        from queues import services

        services.reject(lease.token, [lease.messages[0].id], queue=lease.queue, error="bad")
        services.extend(lease.token, [m.id for m in lease.messages], queue=lease.queue)
        self.ack_in_a_transaction(lease)

    def give_back(self, lease: Any) -> None:
        from queues import services

        services.give_back(lease.token, [m.id for m in lease.messages], queue=lease.queue)

    def be_late(self, lease: Any) -> None:
        time.sleep(LEASE_SECONDS + self.chance.uniform(-0.1, 0.5))  # the lease is lost, or just not yet
        self.chance.choice([self.ack_in_a_transaction, self.nack])(lease)

    def use_it_again(self, lease: Any) -> None:
        """What is left of it is given back; then nothing is, whatever one tries."""
        from queues import services

        ids = [m.id for m in lease.messages]
        services.give_back(lease.token, ids, queue=lease.queue)
        for act in (services.ack, services.nack, services.reject, services.extend):
            if act(lease.token, ids, queue=lease.queue) != ids:
                self.journal.note(does="fail", error=f"{act} did something with a lease that was used up")


class Operator(Role):
    """Redrives, cancels, purges and pauses; in the end it sees to it that all can be handled."""

    folder: Path

    def run(self, stopped: Callable[[], bool]) -> None:
        acts = [self.start_redrive, self.redrive, self.cancel, self.cancel, self.purge, self.pause]
        left: list[Callable[[str], None]] = []
        while not (self.folder / STOP_FILE).exists():
            left = left or self.chance.sample(acts, len(acts))
            with self.outliving_the_database():
                act = left.pop()
                act(self.chance.choice([PLAIN, ORDERED]))
                self.journal.note(does=act.__name__)
            time.sleep(self.chance.uniform(0.05, 0.4))
        while not stopped():
            for queue in (PLAIN, ORDERED):
                with self.outliving_the_database():
                    self._resume(queue)
                    if self._has_letters(queue):
                        self.redrive(queue)
                        self.start_redrive(queue)
            time.sleep(0.3)

    def _has_letters(self, queue: str) -> bool:
        from queues import selectors

        return bool(selectors.count_letters(selectors.require_queue(LETTERS if queue == PLAIN else queue)))

    def start_redrive(self, queue: str) -> None:
        from queues import services

        job = services.start_redrive(LETTERS if queue == PLAIN else queue, actor="ann")
        if self.chance.random() < 0.2:
            services.cancel_redrive(job, actor="ann")

    def redrive(self, queue: str) -> None:
        from queues import services

        services.redrive(queue, actor="ann")

    def cancel(self, queue: str) -> None:
        from queues import services
        from queues.models import Message

        ids = list(Message.objects.filter(queue__name=queue).order_by("?").values_list("id", flat=True)[:3])
        if ids:
            services.cancel(queue, ids, actor="ann")

    def purge(self, queue: str) -> None:
        from queues import services

        services.purge(queue, state="scheduled", actor="ann")

    def pause(self, queue: str) -> None:
        from queues import services

        services.pause_queue(queue, actor="ann")
        time.sleep(0.2)  # not a wait: meanwhile nobody receives
        while not self._resume(queue):
            pass

    def _resume(self, queue: str) -> bool:
        from queues import services

        with self.outliving_the_database():
            services.resume_queue(queue, actor="ann")
            return True
        return False


def write_done(message: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO stress_done (message, payload) VALUES (%s, %s)", [message.id, message.text])


def failures() -> tuple[type[Exception], ...]:
    """What a drain may end with when its session was cut."""
    from psycopg import OperationalError

    return (OperationalError,)


def main(role: str, folder: str, name: str, seed: str) -> None:
    django.setup()
    place = Path(folder)
    ends: Callable[[], bool] = (place / (STOP_FILE if role == "sender" else DRAINED_FILE)).exists
    roles: dict[str, type[Any]] = {"sender": Sender, "worker": Worker, "holder": Holder, "operator": Operator}
    process = roles[role](place, name, int(seed))
    process.folder = place
    process.run(ends)


if __name__ == "__main__":
    main(*sys.argv[1:])
