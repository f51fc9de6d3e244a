-- Gives messages back with a delay each; null rejects to the dead letters, as do too many receives.
-- Lease row first, see ack.sql. A message that comes back goes to the tail.
WITH l AS MATERIALIZED (
    SELECT l.id, l.message_ids, q.name, q.max_receives
    FROM queues_lease l JOIN queues_queue q ON q.id = l.queue_id
    WHERE l.id = %(token)s AND q.name = %(queue)s FOR UPDATE OF l
), moved AS (
    UPDATE queues_message m
    SET state = CASE WHEN x.delay IS NULL OR m.receives >= l.max_receives THEN 4 WHEN x.delay > 0 THEN 2 ELSE 0 END,
        reason = CASE WHEN x.delay IS NULL THEN 'rejected' WHEN m.receives >= l.max_receives THEN 'max_receives'
                      ELSE 'retry' END,
        died_at = CASE WHEN x.delay IS NULL OR m.receives >= l.max_receives THEN statement_timestamp() END,
        due_at = statement_timestamp() + make_interval(secs => coalesce(x.delay, 0)),
        position = nextval('queues_message_id_seq'), lease_id = NULL, detail = nullif(x.error, '')
    FROM l, unnest(%(ids)b::bigint[], %(delays)b::float8[], %(errors)b::text[]) x(id, delay, error)
    WHERE m.id = x.id AND m.id = ANY (%(ids)b::bigint[]) AND m.lease_id = l.id
    RETURNING l.name, m.id, m.group_key, m.state
), ended AS (
    DELETE FROM queues_lease USING l WHERE queues_lease.id = l.id AND NOT EXISTS (
        SELECT FROM queues_message m
        WHERE m.id = ANY (l.message_ids) AND m.lease_id = l.id AND m.id <> ALL (%(ids)b::bigint[]))
)
SELECT name, id, group_key, state FROM moved
