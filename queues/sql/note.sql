-- What a transaction is about to handle of what it took, which is answered. Messages that another worker has written
-- down and no longer holds may have killed it: they are left, or, where there are no others, the first is taken alone.
-- Written beside that transaction, without waiting for the disk: a crash of the server loses it, and with it one death
-- goes uncharged.
WITH taken AS (
    SELECT * FROM unnest(%(ids)b::bigint[], %(receives)b::smallint[]) WITH ORDINALITY t(id, receives, nth)
), innocent AS (
    SELECT t.* FROM taken t WHERE NOT EXISTS (
        SELECT FROM queues_handling h CROSS JOIN LATERAL unnest(h.message_ids, h.receives) noted(id, receives)
        WHERE h.id <> %(handling)s AND noted.id = t.id AND noted.receives = t.receives)
), chosen AS (
    SELECT * FROM innocent
    UNION ALL
    SELECT * FROM taken WHERE nth = 1 AND NOT EXISTS (SELECT FROM innocent)
)
INSERT INTO queues_handling (id, worker, seen_at, message_ids, receives)
SELECT %(handling)s::text, %(worker)s::text, clock_timestamp(), array_agg(id ORDER BY nth), array_agg(receives ORDER BY nth)
FROM chosen WHERE queues_relax(true)
ON CONFLICT (id) DO UPDATE
SET seen_at = excluded.seen_at, message_ids = excluded.message_ids, receives = excluded.receives
RETURNING message_ids
