-- One after the other: whoever sends to a queue that is nearly full has counted all that was sent before.
SELECT pg_advisory_xact_lock(x'6d730000'::int, %(queue_id)s)
