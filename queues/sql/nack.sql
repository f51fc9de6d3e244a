-- Gives messages back. Lease row first, see ack.sql.
WITH l AS MATERIALIZED (
    SELECT l.id, l.message_ids FROM queues_lease l JOIN queues_queue q ON q.id = l.queue_id
    WHERE l.id = %(token)s AND q.name = %(queue)s AND queues_share(%(own)s, q.id) FOR UPDATE OF l
), moved AS MATERIALIZED (
    SELECT r.* FROM l CROSS JOIN LATERAL queues_return(
        %(ids)b::bigint[], l.id, %(delays)b::float8[], %(errors)b::text[], %(reason)s, 0, %(most)s::int) r
), ended AS (
    DELETE FROM queues_lease USING l WHERE queues_lease.id = l.id AND NOT EXISTS (
        SELECT FROM queues_message m
        WHERE m.id = ANY (l.message_ids) AND m.lease_id = l.id AND m.id <> ALL (%(ids)b::bigint[]))
)
SELECT queue, id, group_key, state FROM moved
