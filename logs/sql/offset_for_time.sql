-- Kafka's rule: the earliest offset whose timestamp is at or after a time; NULL past the end. The running
-- maximum leads there in about 24 steps; then the record itself decides, for one that is deleted by now may
-- have raised the maximum.
WITH RECURSIVE step AS (
    SELECT r.* FROM logs_record_at(%(partition_id)s, logs_first_offset(%(partition_id)s, %(time)s::timestamptz, NULL)) r
    UNION ALL
    SELECT r.* FROM step s CROSS JOIN LATERAL logs_record_at(%(partition_id)s, s.found_offset + 1) r
    WHERE s.found_timestamp < %(time)s::timestamptz
)
SELECT found_offset FROM step WHERE found_timestamp >= %(time)s::timestamptz LIMIT 1
