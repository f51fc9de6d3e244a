"""Verbs that change the queue. The only place of this half that opens a transaction."""

from queues.rows import Lease, Message, Sent
from queues.services.deadletters import redrive
from queues.services.queues import alter_queue, create_queue, delete_queue, pause_queue, resume_queue
from queues.services.receiving import ack, ack_handled, extend, give_back, nack, receive, reject, renew_leases
from queues.services.removing import cancel, expire, purge
from queues.services.sending import NewMessage, send, send_many
from queues.services.upkeep import create_declared, forget_dedup, promote, reap, run_upkeep

__all__ = [
    "Lease",
    "Message",
    "NewMessage",
    "Sent",
    "ack",
    "ack_handled",
    "alter_queue",
    "cancel",
    "create_declared",
    "create_queue",
    "delete_queue",
    "expire",
    "extend",
    "forget_dedup",
    "give_back",
    "nack",
    "pause_queue",
    "promote",
    "purge",
    "reap",
    "receive",
    "redrive",
    "reject",
    "renew_leases",
    "resume_queue",
    "run_upkeep",
    "send",
    "send_many",
]
