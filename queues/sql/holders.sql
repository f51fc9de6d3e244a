-- Who has messages of a queue in hand: by lease, and by what workers noted beside their transactions. Of the oldest
-- leases only: a look that nobody has to wait for.
SELECT l.holder, sum(c.left_over)::int8, min(extract(epoch FROM l.expires_at - clock_timestamp()))::float8
FROM (SELECT * FROM queues_lease l WHERE l.queue_id = %(queue_id)s ORDER BY l.id LIMIT %(limit)s) l
CROSS JOIN LATERAL (
    SELECT count(*) AS left_over FROM unnest(l.message_ids) u(id) JOIN queues_message m ON m.id = u.id AND m.lease_id = l.id
) c
GROUP BY l.holder
UNION ALL
SELECT h.worker, sum(c.in_hand)::int8, NULL
FROM (SELECT * FROM queues_handling h ORDER BY h.id LIMIT %(limit)s) h
CROSS JOIN LATERAL (
    SELECT count(*) AS in_hand FROM unnest(h.message_ids) u(id)
    JOIN queues_message m ON m.id = u.id AND m.queue_id = %(queue_id)s
) c
WHERE c.in_hand > 0 GROUP BY h.worker
