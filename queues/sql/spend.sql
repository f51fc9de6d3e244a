-- Beside the sender's transaction. The work is in the function.
SELECT * FROM queues_spend(%(sender)s, %(messages)s::bigint, %(bytes)s::bigint)
