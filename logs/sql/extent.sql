-- Where a reader goes on: both ends of the log, the first record at or after an offset, its segment, and where
-- the next extent begins. An extent never changes while the log start has not passed it, so a reader may keep it.
SELECT p.log_start, t.next_offset, r.found_offset, logs_segment_at(p.id, r.found_offset),
       (SELECT min(first_offset) FROM logs_extent WHERE partition_id = p.id AND first_offset > r.found_offset)
FROM logs_partition p
CROSS JOIN LATERAL logs_tail(p) t
CROSS JOIN LATERAL logs_record_at(p.id, greatest(%(offset)s, p.log_start)) r
WHERE p.id = %(partition_id)s
