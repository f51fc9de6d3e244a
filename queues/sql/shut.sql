-- Before a deletion: waits for open senders, and keeps new ones waiting for its outcome (queues_enter).
SELECT pg_advisory_xact_lock(x'6d710001'::int, %(queue_id)s)
