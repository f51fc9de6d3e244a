-- The lease row first, as in everything that ends a lease: ack and reap would deadlock otherwise.
-- Ids that do not come back were lost. In a handler's transaction this is the LAST statement.
WITH l AS MATERIALIZED (
    SELECT l.id, l.message_ids FROM queues_lease l JOIN queues_queue q ON q.id = l.queue_id
    WHERE l.id = %(token)s AND q.name = %(queue)s FOR UPDATE OF l
), done AS (
    DELETE FROM queues_message m USING l
    WHERE m.id = ANY (%(ids)b::bigint[]) AND m.lease_id = l.id
    RETURNING m.id, m.group_key
), ended AS (
    DELETE FROM queues_lease USING l WHERE queues_lease.id = l.id AND NOT EXISTS (
        SELECT FROM queues_message m
        WHERE m.id = ANY (l.message_ids) AND m.lease_id = l.id AND m.id <> ALL (%(ids)b::bigint[]))
)
SELECT id, group_key FROM done
