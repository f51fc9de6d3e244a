-- The first messages of each state of queues, without payloads: a few rows from the front of each index.
SELECT q.id, c.* FROM unnest(%(queue_ids)b::int[]) q(id) CROSS JOIN LATERAL (
    (SELECT m.state, m.id, m.group_key, m.receives, m.reason, right(m.detail, %(detail_characters)s),
            extract(epoch FROM m.due_at - clock_timestamp())::float8 AS seconds, NULL AS holder, m.died_at
     FROM queues_message m WHERE m.queue_id = q.id AND m.state = 2 ORDER BY m.due_at LIMIT %(limit)s)
    UNION ALL
    (SELECT m.state, m.id, m.group_key, m.receives, m.reason, right(m.detail, %(detail_characters)s),
            extract(epoch FROM clock_timestamp() - coalesce(m.due_at, m.enqueued_at))::float8, NULL, m.died_at
     FROM queues_message m WHERE m.queue_id = q.id AND m.state = 0
     ORDER BY m.priority DESC, m.position LIMIT %(limit)s)
    UNION ALL
    (SELECT m.state, m.id, m.group_key, m.receives, m.reason, right(m.detail, %(detail_characters)s),
            extract(epoch FROM clock_timestamp() - m.enqueued_at)::float8, NULL, m.died_at
     FROM queues_message m WHERE m.queue_id = q.id AND m.state = 3
     ORDER BY m.group_key, m.position LIMIT %(limit)s)
    UNION ALL
    (SELECT m.state, m.id, m.group_key, m.receives, m.reason, right(m.detail, %(detail_characters)s),
            extract(epoch FROM l.expires_at - clock_timestamp())::float8, l.holder, m.died_at
     FROM (SELECT * FROM queues_lease l WHERE l.queue_id = q.id ORDER BY l.id LIMIT %(limit)s) l
     CROSS JOIN LATERAL unnest(l.message_ids) u(id)
     JOIN queues_message m ON m.id = u.id AND m.lease_id = l.id
     ORDER BY l.id, m.id LIMIT %(limit)s)
    UNION ALL
    (SELECT m.state, m.id, m.group_key, m.receives, m.reason, right(m.detail, %(detail_characters)s),
            NULL, NULL, m.died_at
     FROM queues_message m WHERE m.queue_id = q.id AND m.state = 4 ORDER BY m.position LIMIT %(limit)s)
) c
