-- A batch with priorities, delays or times to live, ids in its order; one sequence gives the id and the first position.
-- The gate is a sub-select of its own, so that it is passed once. Null = the queue is not what the caller remembers.
-- A time to live counts from when a message may be received. The ids come as one array, which costs both sides
-- less than a row for each.
WITH sent AS (
    INSERT INTO queues_message
        (id, queue_id, state, priority, position, due_at, expires_at, group_key, sender, content_type, headers, payload)
    SELECT s.n, %(queue_id)s, CASE WHEN s.due > statement_timestamp() THEN 2 ELSE 0 END, coalesce(s.priority, 0), s.n,
           s.due, coalesce(s.due, statement_timestamp()) + make_interval(secs => s.ttl), s.group_key, %(sender)s,
           s.content_type, s.headers, s.payload
    FROM (
        SELECT nextval('queues_message_id_seq') AS n, u.*,
               coalesce(u.due_at, statement_timestamp() + make_interval(secs => nullif(u.delay, 0))) AS due
        FROM unnest(%(payloads)b::bytea[], %(content_types)b::text[], %(headers)b::text[], %(group_keys)b::text[],
                    %(priorities)b::smallint[], %(delays)b::float8[], %(dues)b::timestamptz[], %(ttls)b::float8[])
            u(payload, content_type, headers, group_key, priority, delay, due_at, ttl)
    ) s
    WHERE (SELECT queues_enter(%(queue_id)s, %(revision)s))
    RETURNING id
)
SELECT array_agg(id) FROM sent
