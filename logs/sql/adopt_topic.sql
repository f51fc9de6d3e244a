-- A topic was altered: its partitions carry what an append must know. Waits for appends in flight; id order.
-- Where keys begin to be hashed, all records from the present end on have their hash; the upkeep adds the others.
UPDATE logs_partition p
SET revision = %(revision)b::uuid, hash_keys = %(hash_keys)s,
    hashed_from = CASE WHEN %(hash_keys)s AND NOT p.hash_keys THEN logs_log_end(p.id) ELSE p.hashed_from END
FROM (SELECT id FROM logs_partition WHERE topic_id = %(topic_id)s ORDER BY id FOR NO KEY UPDATE) locked
WHERE p.id = locked.id
RETURNING p.id
