-- What a transaction took is done: gone with its COMMIT, at which the keys of ordered ones go on.
WITH gone AS (
    DELETE FROM queues_message WHERE id = ANY (%(ids)b::bigint[]) RETURNING id, queue_id, group_key, ordered
), intent AS (
    INSERT INTO queues_intent (queue_id, keys)
    SELECT queue_id, array_agg(group_key) FROM gone WHERE ordered GROUP BY 1
)
SELECT id, group_key FROM gone
