-- Where an offset stands: both ends of the log, its segment, and the first offset of the next extent.
-- An extent never changes while the log start has not passed it, so a reader may keep the answer.
SELECT p.log_start, t.next_offset, logs_segment_at(p.id, %(offset)s),
       (SELECT min(first_offset) FROM logs_extent WHERE partition_id = p.id AND first_offset > %(offset)s)
FROM logs_partition p CROSS JOIN LATERAL logs_tail(p) t
WHERE p.id = %(partition_id)s
