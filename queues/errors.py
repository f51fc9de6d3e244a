"""What the queue refuses."""

from mqsite.errors import Conflict, NotFound, NotOwner


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
