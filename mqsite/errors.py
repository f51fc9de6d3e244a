"""What the system refuses. A class's docstring is its message; its fields fill the braces."""

from inspect import cleandoc
from typing import Any, ClassVar


class MessagingError(Exception):
    """The request was refused."""

    code: ClassVar[str] = "refused"
    permanent: ClassVar[bool] = True  # False: the same request may succeed later

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(cleandoc(type(self).__doc__ or "").replace("\n", " ").format(**facts))


class Invalid(MessagingError):
    """{reason}"""

    code = "invalid"


class NotFound(MessagingError):
    """{what} does not exist."""

    code = "not_found"


class Conflict(MessagingError):
    """{reason}"""

    code = "conflict"
    permanent = False


class NotOwner(MessagingError):
    """Only {owner} {verb} {name}; you act for {boundary}."""

    code = "not_owner"


class ReadCommittedRequired(MessagingError):
    """{verb} needs a READ COMMITTED transaction: under {isolation} it would work on a stale picture
    of the {what}. Do it in a transaction of the default isolation level."""

    code = "read_committed_required"


class DiskFull(MessagingError):
    """The database's disk is full: nothing of this was stored. It goes on as soon as there is room."""

    code = "disk_full"
    permanent = False


class PayloadTooLarge(Invalid):
    """{what} has {size:,} bytes; {name} takes at most {limit:,}."""

    code = "payload_too_large"
