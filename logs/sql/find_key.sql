-- The newest records of a key in some partitions, each from before its own offset on; newest first within each.
-- hashed_from says from where on nothing is missed.
SELECT p.number, p.log_start, CASE WHEN p.hash_keys THEN p.hashed_from ELSE t.next_offset END,
       r.offset_, r.at, r.key__, r.value_, r.headers_, r.content_type_
FROM unnest(%(partition_ids)s::int[], %(before)s::bigint[]) u(id, before)
JOIN logs_partition p ON p.id = u.id
CROSS JOIN LATERAL logs_tail(p) t
LEFT JOIN LATERAL logs_find_key(p.id, %(key)b, u.before, %(limit)s) r ON true
ORDER BY p.number, r.offset_ DESC
