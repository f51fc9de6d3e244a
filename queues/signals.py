"""What the queue announces, after the commit that made it true. Sent with send_robust.

Everywhere: queue: str, messages: list of (id, group key or None).
"""

from django.dispatch import Signal

messages_sent = Signal()  # ready: bool, whether one may be received at once
messages_received = Signal()  # full: bool, whether the receiver took all it asked for
messages_acked = Signal()
messages_returned = Signal()  # ready: bool; from a lease, a schedule or the dead letters
messages_dead = Signal()
