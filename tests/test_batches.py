"""What both halves take as a batch, and what they refuse."""

from collections.abc import Iterator
from typing import Any

import pytest

from logs import services as logs
from logs.services import NewRecord
from mqsite import batches
from mqsite.errors import Invalid, PayloadTooLarge
from queues import services as queues
from queues.models import Message
from queues.services import NewMessage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def places(transactional_db: None) -> None:
    logs.create_topic("orders", owner="sales", partitions=1)
    queues.create_queue("bookings", owner="sales")


def publish(batch: Any) -> list[bytes | None]:
    logs.publish_many("orders", batch, boundary="sales")
    return [record.value for record in logs.fetch("orders", 0, 0)]


def send(batch: Any) -> list[bytes | None]:
    queues.send_many("bookings", batch)
    return [bytes(message.payload) for message in Message.objects.order_by("id")]


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(("put", "whole"), [(publish, NewRecord), (send, NewMessage)])
@pytest.mark.parametrize(
    ("payloads", "stored"),
    [
        ([b"a", b"b"], [b"a", b"b"]),
        (["nine char", {"nine": "keys"}, (1, 2)], [b"nine char", b'{"nine":"keys"}', b"[1,2]"]),
    ],
    ids=["bytes", "values"],
)
def test_what_is_not_wrapped_is_a_payload(put: Any, whole: Any, payloads: Any, stored: list[bytes]) -> None:
    assert put(iter(payloads)) == stored
    assert put([whole(b"1"), "2"]) == [*stored, b"1", b"2"]


@pytest.mark.parametrize(("put", "whole"), [(publish, NewRecord("x")), (send, NewMessage("x"))], ids=["log", "queue"])
@pytest.mark.parametrize("batch", ["text", b"bytes", {"a": 1}, 7, None], ids=repr)
def test_what_is_no_list_is_refused(put: Any, whole: Any, batch: Any) -> None:
    for each in (batch, whole):
        with pytest.raises(Invalid, match=rf"A batch is a list of (records|messages), not one {type(each).__name__}\."):
            put(each)


@pytest.mark.parametrize("put", [publish, send])
def test_a_batch_without_end_is_refused_at_its_limit(put: Any) -> None:
    taken = 0

    def forever() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x"

    with pytest.raises(Invalid, match=r"A batch has at most 10,000 (records|messages); this one has more"):
        put(forever())
    assert taken == 10_001


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("put", [publish, send])
def test_a_batch_of_too_many_bytes_is_refused_and_nothing_of_it_stored(put: Any) -> None:
    batches.require_size(104_857_600, "send")
    with pytest.raises(
        PayloadTooLarge, match=r"The batch has 105,000,000 bytes; one (publish|send) takes at most 104,8"
    ):
        put([b"x" * 1_000_000] * 105)
    assert put([b"a"]) == [b"a"]
