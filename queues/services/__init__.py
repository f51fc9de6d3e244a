"""Verbs that change the queue. The only place of this half that opens a transaction."""

from queues.rows import Lease, Message
from queues.services.deadletters import redrive
from queues.services.queues import create_queue, delete_queue
from queues.services.receiving import ack, ack_handled, extend, give_back, nack, receive, reject, renew_leases
from queues.services.sending import NewMessage, send, send_many
from queues.services.upkeep import create_declared, promote, reap

__all__ = [
    "Lease",
    "Message",
    "NewMessage",
    "ack",
    "ack_handled",
    "create_declared",
    "create_queue",
    "delete_queue",
    "extend",
    "give_back",
    "nack",
    "promote",
    "reap",
    "receive",
    "redrive",
    "reject",
    "renew_leases",
    "send",
    "send_many",
]
