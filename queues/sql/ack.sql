-- The lease row first, as in everything that ends a lease: ack and reap would deadlock otherwise.
-- Ids that do not come back were lost. In a handler's transaction this is the LAST statement.
SELECT r.* FROM (SELECT queues_relax(%(own)s) OFFSET 0) relaxed
CROSS JOIN LATERAL queues_ack(%(token)s::uuid, %(ids)b::bigint[], %(queue)s::text, %(own)s) r
