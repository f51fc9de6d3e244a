-- Expired leases end: their messages go to the tail of ready, or die after too many receives.
-- statement_timestamp(), here and in promote: an index cannot be searched for a volatile clock.
-- LEFT JOIN: a lease that outlived its queue goes as well.
WITH l AS MATERIALIZED (
    SELECT l.id, l.message_ids, q.name, q.max_receives
    FROM queues_lease l LEFT JOIN queues_queue q ON q.id = l.queue_id
    WHERE l.expires_at < statement_timestamp()
    ORDER BY l.expires_at LIMIT %(limit)s FOR UPDATE OF l SKIP LOCKED
), moved AS (
    UPDATE queues_message m
    SET state = CASE WHEN m.receives >= l.max_receives THEN 4 ELSE 0 END,
        died_at = CASE WHEN m.receives >= l.max_receives THEN statement_timestamp() END,
        due_at = statement_timestamp(), position = nextval('queues_message_id_seq'),
        lease_id = NULL, reason = 'lease expired', detail = NULL
    FROM l WHERE m.id = ANY (ARRAY(SELECT unnest(message_ids) FROM l)) AND m.lease_id = l.id
    RETURNING l.name, m.id, m.group_key, m.state
), ended AS (
    DELETE FROM queues_lease WHERE id = ANY (ARRAY(SELECT id FROM l))
)
SELECT name, id, group_key, state FROM moved
