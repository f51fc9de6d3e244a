"""For processes whose PYTHONPATH leads here: their clock is off by the seconds that stand in the file FAULTS_CLOCK."""

import datetime
import mmap
import os
import struct
import time
from typing import Any

_right_time = time.time
_Right: Any = datetime.datetime
with open(os.environ["FAULTS_CLOCK"], "rb") as _file:
    _seconds = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)


def _wrong_time() -> float:
    return _right_time() + float(struct.unpack("d", _seconds[:8])[0])


class _Kind(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _Right)  # the database driver makes right ones


class _Wrong(_Right, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(_wrong_time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


_Wrong.__module__, _Wrong.__name__, _Wrong.__qualname__ = "datetime", "datetime", "datetime"
time.time = _wrong_time
time.time_ns = lambda: int(_wrong_time() * 1e9)
datetime.datetime = _Wrong  # type: ignore[misc]
