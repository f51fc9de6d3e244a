-- A batch of the answers that nobody came for in time, or that were read.
WITH gone AS (
    DELETE FROM queues_reply WHERE request = ANY (ARRAY(
        SELECT request FROM queues_reply WHERE keep_until <= statement_timestamp()
        ORDER BY keep_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) FROM gone
