-- All partitions at once: a key may stand in several after they were added, or where publishers chose them.
-- How many records lost something, and the segments they may stand in.
SELECT coalesce(sum(logs_erase_key(u.id, %(key)b)), 0)::bigint, (
    SELECT array_agg(DISTINCT s) FROM logs_partition p CROSS JOIN LATERAL logs_segments_of(p) s
    WHERE p.id = ANY (%(partition_ids)s::int[]))
FROM (SELECT id FROM unnest(%(partition_ids)s::int[]) u(id) ORDER BY id) u
