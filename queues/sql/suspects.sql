-- Messages in our hands that another worker has written down: it no longer holds them, so it may have died of one.
SELECT DISTINCT u.id FROM queues_handling h CROSS JOIN LATERAL unnest(h.message_ids, h.receives) u(id, receives)
JOIN unnest(%(ids)b::bigint[], %(receives)b::smallint[]) mine(id, receives)
    ON mine.id = u.id AND mine.receives = u.receives
WHERE h.id <> %(handling)s
