-- What a transaction took is done: gone with its COMMIT, at which the keys of ordered ones go on.
WITH gone AS (
    DELETE FROM queues_message WHERE id = ANY (%(ids)b::bigint[])
    RETURNING id, queue_id, group_key, ordered, receives, headers
), intent AS (
    INSERT INTO queues_intent (queue_id, keys)
    SELECT queue_id, array_agg(group_key) FROM gone WHERE ordered GROUP BY 1
), outcome AS (
    INSERT INTO queues_outcome (queue_id, message_id, correlation_id, outcome, by, receives, reason, at, expires_at)
    SELECT q.id, g.id, queues_correlation(g.headers), 'acked', %(by)s, g.receives + 1, '', statement_timestamp(),
           statement_timestamp() + make_interval(secs => q.outcome_seconds)
    FROM gone g JOIN queues_queue q ON q.id = g.queue_id WHERE q.outcome_seconds > 0
)
SELECT id, group_key FROM gone
