"""For customers' tests: what was published and sent, and handlers that run in the test itself.

Neither a worker nor Celery nor Redis is needed. What is not as in production: nobody waits for a retry or a rate, and
one handler runs at a time.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import logs.services
from logs.declarations import Topic
from logs.handlers import subscriptions
from logs.models import GroupPartition
from logs.rows import Record
from mqsite import activity, announce, beside, hints, remembered
from mqsite.activity import Failure
from mqsite.recording import Recording
from mqsite.rehearsal import Rehearsal, say_left
from queues import floors
from queues.declarations import Queue
from queues.rows import Message

MOST_CALLS = 1_000  # of one run, failures included

if TYPE_CHECKING:
    from django.test import SimpleTestCase as _Case
else:
    _Case = object


class Messages:
    """What the test published and sent, and `run` to handle it. As fixture `mq`, or `self.mq` of MessagesMixin."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        #: Each call that failed: the record or message, and the error. In order; of all runs.
        self.failures: list[Failure] = []

    def published(self, topic: Topic | str) -> list[Record]:
        """The records that this test has published, in order. None of what it has rolled back."""
        return self._recording.records(str(topic))

    def sent(self, queue: Queue | str) -> list[Message]:
        """The messages that this test has sent, in order, as they were then, whatever became of them."""
        return self._recording.messages(str(queue))

    def run(self, *, raise_errors: bool = True, with_scheduled: bool = False, most: int = MOST_CALLS) -> int:
        """Call the handlers with all there is for them, and with what they publish and send, until nothing is left;
        how many records and messages were handled.

        What a handler raises is undone and noted as in production, and then raised here; RetryIn is not, it is tried
        again. With raise_errors=False it goes on: retries come at once, and after them what comes of them: dead
        letters, parked records, blocked partitions. A record that would be tried for ever is tried ENDLESS_ATTEMPTS
        times. `with_scheduled`: also what was sent for later. After about `most` calls it is refused: NeverEnds.
        """
        self._recording.settle()
        _subscribe_missing()
        with activity.watching() as watch:
            try:
                Rehearsal(watch, raise_errors=raise_errors, with_scheduled=with_scheduled, most=most).run()
            finally:
                self.failures += watch.failures
        return watch.handled

    def assert_nothing_left(self) -> None:
        """Fail if there is something that a handler here would get, now, after a retry or at its time."""
        left = say_left()
        assert not left, f"There is still something to handle: {'; '.join(left)}."


@contextmanager
def collect_messages() -> Iterator[Messages]:
    """What is published and sent in the block. In a transaction of the test, which never commits, it is as good as
    committed. No worker is woken."""
    _forget()
    recording = Recording()
    with ExitStack() as stack:
        stack.callback(_forget)
        stack.enter_context(hints.muted())
        if recording.is_enclosed:
            stack.enter_context(beside.within())
        recording.settle()
        _subscribe_missing()
        announce.listeners.append(recording.hear)
        stack.callback(announce.listeners.remove, recording.hear)
        yield Messages(recording)


class MessagesMixin(_Case):
    """`class OrderTest(MessagesMixin, TestCase)` has self.mq. With a setUp of its own it calls super().setUp()."""

    mq: Messages

    def setUp(self) -> None:
        super().setUp()
        self.mq = self.enterContext(collect_messages())


def _subscribe_missing() -> None:
    """As after migrate, for what came into being since: declared in the test, or a topic of another team."""
    standing = set(GroupPartition.objects.values_list("group__name", "partition__topic__name").distinct())
    missing = [each for each in subscriptions if (each.group.name, each.topic) not in standing]
    if missing:
        logs.services.create_declared()
    for each in missing:
        logs.services.subscribe_declared(each.group, each.topic)


def _forget() -> None:
    """What this process knows of rows that a test takes back."""
    remembered.forget_all()
    floors.forget()
