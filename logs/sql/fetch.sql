-- A range of the primary key of ONE segment, whose number the store writes into the text: it locks no other,
-- and an expired one can be truncated. Only if the record at the offset is there; then those after it, as many
-- as fit into max_bytes by the running total: no payload is looked at.
-- Bounded at both ends: without statistics the planner would sort all of a new segment for a LIMIT (30 ms).
-- Nothing below the log start is given out, even while its rows still stand.
SELECT "offset", "timestamp", key, value, headers, content_type
FROM logs_record_s0
WHERE partition_id = %(partition_id)s
  AND "offset" >= %(offset)s AND "offset" < %(offset)s::bigint + %(max_records)s
  AND %(offset)s >= (SELECT log_start FROM logs_partition WHERE id = %(partition_id)s)
  AND bytes_end <= (
    SELECT bytes_end + greatest(0, %(max_bytes)s - coalesce(octet_length(key), 0)
                                   - coalesce(octet_length(value), 0) - coalesce(octet_length(headers), 0))
    FROM logs_record_s0 WHERE partition_id = %(partition_id)s AND "offset" = %(offset)s)
ORDER BY "offset"
