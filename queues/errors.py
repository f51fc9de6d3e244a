"""What the queue refuses."""

from mqsite.errors import Conflict, Invalid, NotFound, NotOwner


class QueueNotFound(NotFound):
    """There is no queue {queue}. Declare it, or create it first."""

    code = "queue_not_found"


class QueueAlreadyExists(Conflict):
    """Queue {queue} exists already."""

    code = "queue_already_exists"
    permanent = True


class LeaseLost(Conflict):
    """The lease on {lost} of {queue} is lost: it expired and others may have these messages, or they
    are done. Nothing was changed for them."""

    code = "lease_lost"


class ConsumerNotOwner(NotOwner):
    """Only {owner} handles {name}; you act for {boundary}."""


class QueueFull(Conflict):
    """{queue} has {length:,} messages and takes at most {limit:,}; {wanted:,} more were to be sent. Nothing was."""

    code = "queue_full"


class QueueAltered(Conflict):
    """The queue was altered at the moment. Try again."""

    code = "queue_altered"


class OrderedRefuses(Invalid):
    """{queue} is ordered: each message has a group_key, and neither priority nor delay."""

    code = "ordered_refuses"


class QueueInUse(Conflict):
    """{queue} is the dead-letter queue of {sources}. Alter those first."""

    code = "queue_in_use"
    permanent = True


class RedriveNotFound(NotFound):
    """There is no redrive {job}."""

    code = "redrive_not_found"


class SearchMarkGone(Conflict):
    """The message the last page ended with has moved on meanwhile: begin the search again."""

    code = "search_mark_gone"


class JsonPathInvalid(Invalid):
    """{path!r} is no SQL/JSON path: {said}. One is `$.seats[*] ? (@.row > 7)`."""

    code = "json_path_invalid"


class RequestTimedOut(Conflict):
    """No reply of {queue} to request {request} within {seconds:g} s. Message {message} carried it."""

    code = "request_timed_out"


class RequestFailed(Conflict):
    """{queue} could not handle request {request}: {error}"""

    code = "request_failed"
    permanent = True


class LetterNotFound(NotFound):
    """Message {id} is no dead letter of {queue}, or somebody has it in hand."""

    code = "letter_not_found"


class QuotaExceeded(Conflict):
    """{boundary} {said}; {wanted:,} more were to be sent. Nothing was."""

    code = "quota_exceeded"


class PeriodicNotFound(NotFound):
    """There is no periodic command {name}: no worker has declared it yet."""

    code = "periodic_not_found"
