-- How many messages queues have in each state, each count stopping at `most`, and for how many seconds
-- the oldest could have been received: the head of each priority (a loose scan of the ready index) is it.
-- A function only because SET pins the plan: believing that matches are everywhere, the planner would
-- rather read the whole table until it has counted enough.
CREATE OR REPLACE FUNCTION queues_depth(queue_ids int[], most int) RETURNS TABLE (
    queue_id int, scheduled bigint, ready bigint, waiting bigint, leased bigint, dead bigint, oldest_ready_seconds float8
) LANGUAGE sql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    WITH RECURSIVE q AS (
        SELECT unnest(queue_ids) AS id
    ), head AS (
        SELECT q.id, m.priority, m.since FROM q CROSS JOIN LATERAL (
            SELECT m.priority, coalesce(m.due_at, m.enqueued_at) AS since FROM queues_message m
            WHERE m.queue_id = q.id AND m.state = 0 ORDER BY m.priority DESC, m.position LIMIT 1) m
        UNION ALL
        SELECT head.id, m.priority, m.since FROM head CROSS JOIN LATERAL (
            SELECT m.priority, coalesce(m.due_at, m.enqueued_at) AS since FROM queues_message m
            WHERE m.queue_id = head.id AND m.state = 0 AND m.priority < head.priority
            ORDER BY m.priority DESC, m.position LIMIT 1) m
    )
    SELECT q.id,
           (SELECT count(*) FROM (SELECT FROM queues_message m WHERE m.queue_id = q.id AND m.state = 2
                                  ORDER BY m.due_at LIMIT most) c),
           (SELECT count(*) FROM (SELECT FROM queues_message m WHERE m.queue_id = q.id AND m.state = 0
                                  ORDER BY m.priority DESC, m.position LIMIT most) c),
           (SELECT count(*) FROM (SELECT FROM queues_message m WHERE m.queue_id = q.id AND m.state = 3
                                  ORDER BY m.group_key, m.position LIMIT most) c),
           (SELECT count(*) FROM (SELECT FROM queues_lease l CROSS JOIN LATERAL unnest(l.message_ids) u(id)
                                  JOIN queues_message m ON m.id = u.id AND m.lease_id = l.id
                                  WHERE l.queue_id = q.id LIMIT most) c),
           (SELECT count(*) FROM (SELECT FROM queues_message m WHERE m.queue_id = q.id AND m.state = 4
                                  ORDER BY m.position LIMIT most) c),
           (SELECT extract(epoch FROM max(clock_timestamp() - head.since))::float8 FROM head WHERE head.id = q.id)
    FROM q
$$;
