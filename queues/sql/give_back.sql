-- What a holder never began: not charged, and still in its place. Lease row first, see ack.sql.
WITH l AS MATERIALIZED (
    SELECT l.id, l.message_ids, q.name FROM queues_lease l JOIN queues_queue q ON q.id = l.queue_id
    WHERE l.id = %(token)s AND q.name = %(queue)s AND queues_share(%(own)s, q.id) FOR UPDATE OF l
), moved AS (
    UPDATE queues_message m SET state = 0, receives = m.receives - 1, lease_id = NULL
    FROM l WHERE m.id = ANY (%(ids)b::bigint[]) AND m.lease_id = l.id
    RETURNING l.name, m.id, m.group_key, m.state, m.priority, m.position
), ended AS (
    DELETE FROM queues_lease USING l WHERE queues_lease.id = l.id AND NOT EXISTS (
        SELECT FROM queues_message m
        WHERE m.id = ANY (l.message_ids) AND m.lease_id = l.id AND m.id <> ALL (%(ids)b::bigint[]))
)
SELECT name, id, group_key, state, priority, position FROM moved
