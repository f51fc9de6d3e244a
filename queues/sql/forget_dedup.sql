-- Ids whose time is over, a batch. SKIP LOCKED: one that is just being used again stays.
WITH gone AS (
    DELETE FROM queues_dedup WHERE (queue_id, dedup_id) IN (
        SELECT queue_id, dedup_id FROM queues_dedup WHERE expires_at <= statement_timestamp()
        ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING 1
)
SELECT count(*) FROM gone
