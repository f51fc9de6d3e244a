"""Verbs that change the queue. The only place of this half that opens a transaction."""

from queues.rows import Lease, Message, Reply, Sent
from queues.services.deadletters import KEPT, cancel_redrive, redrive, redrive_edited, start_redrive, work_redrives
from queues.services.queues import alter_queue, create_queue, delete_queue, pause_queue, resume_queue
from queues.services.receiving import ack, ack_handled, extend, give_back, nack, receive, reject, renew_leases
from queues.services.removing import cancel, expire, purge
from queues.services.replies import Request, call, find_reply, reply_to, request
from queues.services.sending import NewMessage, send, send_many
from queues.services.taking import (
    ack_taken,
    begin_handling,
    charge,
    end_handling,
    fail_taken,
    keep_handling,
    let_go,
    nack_taken,
    reject_taken,
    take,
)
from queues.services.upkeep import (
    create_declared,
    forget_dedup,
    forget_outcomes,
    forget_replies,
    promote,
    reap,
    run_upkeep,
)

__all__ = [
    "KEPT",
    "Lease",
    "Message",
    "NewMessage",
    "Reply",
    "Request",
    "Sent",
    "ack",
    "ack_handled",
    "ack_taken",
    "alter_queue",
    "begin_handling",
    "call",
    "cancel",
    "cancel_redrive",
    "charge",
    "create_declared",
    "create_queue",
    "delete_queue",
    "end_handling",
    "expire",
    "extend",
    "fail_taken",
    "find_reply",
    "forget_dedup",
    "forget_outcomes",
    "forget_replies",
    "give_back",
    "keep_handling",
    "let_go",
    "nack",
    "nack_taken",
    "pause_queue",
    "promote",
    "purge",
    "reap",
    "receive",
    "redrive",
    "redrive_edited",
    "reject",
    "reject_taken",
    "renew_leases",
    "reply_to",
    "request",
    "resume_queue",
    "run_upkeep",
    "send",
    "send_many",
    "start_redrive",
    "take",
    "work_redrives",
]
