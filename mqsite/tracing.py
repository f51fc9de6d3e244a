"""One business flow over topics and queues: what a handler publishes and sends carries on the trace of its cause.

The loops say what is being handled, publish and send read it. Nobody else needs to know.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from mqsite.payloads import Headers

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"  # W3C Trace Context
CORRELATION, CAUSATION = "correlation_id", "causation_id"

# version - trace id - span id - flags; a trace or span of zeros is none.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})\Z")
# A caller's own header of these names, in CloudEvents' spelling too, stands.
_SPELLINGS = {
    TRACEPARENT: {"traceparent", "ce_traceparent"},
    CORRELATION: {"correlation_id", "ce_correlationid"},
    CAUSATION: {"causation_id", "ce_causationid"},
}


class Traced(Protocol):
    """A record or message that may be the cause of others."""

    @property
    def headers(self) -> list[tuple[str, str]]: ...

    @property
    def cause_id(self) -> str: ...


class Request:
    """An HTTP request and the trace it came with: it is part of a flow, but nothing that could be named as a cause."""

    cause_id = ""

    def __init__(self, headers: Mapping[str, str]) -> None:
        pairs = ((name, headers.get(name)) for name in (TRACEPARENT, TRACESTATE))
        self.headers = [(name, value) for name, value in pairs if value]


_causes: ContextVar[tuple[Traced, ...]] = ContextVar("mqsite_causes", default=())


@contextmanager
def caused_by(*causes: Traced) -> Iterator[None]:
    """What is published and sent inside follows from this record or message. Of several nothing is carried on: a
    handler of batches names the one that counts, `with caused_by(record): ...`."""
    token = _causes.set(causes)
    try:
        yield
    finally:
        _causes.reset(token)


@contextmanager
def scope() -> Iterator[ContextVar[tuple[Traced, ...]]]:
    """For a loop, which sets the cause of each turn itself."""
    token = _causes.set(())
    try:
        yield _causes
    finally:
        _causes.reset(token)


def carry(headers: Sequence[Headers]) -> Sequence[Headers]:
    """The headers of each new record or message, with what its cause passes on and it does not say itself."""
    causes = _causes.get()
    if len(causes) != 1:
        return headers
    passed = _pass_on(causes[0])
    return tuple(_complete(own, passed) for own in headers)


def _pass_on(cause: Traced) -> list[tuple[str, str]]:
    known = {name.lower(): value for name, value in reversed(cause.headers)}
    passed = []
    traceparent = known.get("traceparent") or known.get("ce_traceparent") or ""
    if trace := _TRACEPARENT.match(traceparent):
        passed.append((TRACEPARENT, f"00-{trace[1]}-{secrets.token_hex(8)}-{trace[2]}"))
        if state := known.get(TRACESTATE):
            passed.append((TRACESTATE, state))
    correlation = known.get("correlation_id") or known.get("ce_correlationid") or cause.cause_id
    pairs = ((CORRELATION, correlation), (CAUSATION, cause.cause_id))
    return passed + [(name, value) for name, value in pairs if value]


def _complete(own: Headers, passed: list[tuple[str, str]]) -> Headers:
    if not own:
        return passed
    # What is no header is refused later, by name.
    names = {str(header[0]).lower() for header in own if len(header) == 2}
    if names & _SPELLINGS[TRACEPARENT]:
        names.add(TRACESTATE)  # the state of another trace
    return [*own, *(pair for pair in passed if not names & _SPELLINGS.get(pair[0], {pair[0]}))]
