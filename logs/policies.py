"""auto.offset.reset, as Kafka has it: where a group reads that has no valid committed offset."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils.dateparse import parse_duration

from mqsite.errors import Invalid

EARLIEST, LATEST, NONE, BY_DURATION = "earliest", "latest", "none", "by_duration"
ALLOWED = "'earliest', 'latest', 'none' and 'by_duration:' with an ISO 8601 duration such as by_duration:PT12H"
MAX_CHARACTERS = 64
MAX_DURATION = timedelta(days=36_500)  # further back no clock of ours goes


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """`duration` goes with by_duration alone."""

    kind: str
    duration: timedelta = timedelta()


def parse_start_policy(text: object) -> StartPolicy:
    """What "earliest", "latest", "none" or "by_duration:PnDTnHnMnS" says."""
    kind, _, rest = str(text).partition(":")
    if kind in {EARLIEST, LATEST, NONE} and kind == text:
        return StartPolicy(kind)
    if kind == BY_DURATION and len(str(text)) <= MAX_CHARACTERS:
        duration = parse_iso_duration(rest)
        if duration is not None:
            return StartPolicy(BY_DURATION, duration)
    raise Invalid(reason=f"auto_offset_reset is {text!r}; allowed are {ALLOWED}.")


def parse_iso_duration(text: str) -> timedelta | None:
    """`P1DT2H`, `PT30M`, up to a hundred years; None for anything else."""
    try:
        duration = parse_duration(text) if text.startswith("P") else None
    except OverflowError:
        return None
    return duration if duration is not None and timedelta() <= duration <= MAX_DURATION else None
