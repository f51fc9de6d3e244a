-- One statement for a batch, ids in its order; one sequence gives the id and the first position.
-- The queue row is locked once, against its deletion only, and never updated: senders do not meet there.
-- No row = there is no such queue.
WITH q AS MATERIALIZED (
    SELECT id FROM queues_queue WHERE name = %(queue)s AND queues_read_committed() FOR KEY SHARE
)
INSERT INTO queues_message
    (id, queue_id, state, priority, position, due_at, group_key, sender, content_type, headers, payload)
SELECT s.n, q.id, CASE WHEN s.delay > 0 THEN 2 ELSE 0 END, s.priority, s.n,
       CASE WHEN s.delay > 0 THEN statement_timestamp() + make_interval(secs => s.delay) END,
       s.group_key, %(sender)s, s.content_type, s.headers, s.payload
FROM q CROSS JOIN (
    SELECT nextval('queues_message_id_seq') AS n, u.*
    FROM unnest(%(payloads)b::bytea[], %(content_types)b::text[], %(headers)b::text[], %(group_keys)b::text[],
                %(priorities)b::smallint[], %(delays)b::float8[])
        u(payload, content_type, headers, group_key, priority, delay)
) s
RETURNING id
