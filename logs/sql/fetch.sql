-- A range of the primary key; at least one record, then as many as fit into max_bytes.
-- Nothing below the log start is ever given out, even while its rows still stand.
SELECT "offset", "timestamp", key, value, headers, content_type, "offset" < %(replay_until)s AS is_replay FROM (
    SELECT r.*, coalesce(sum(coalesce(octet_length(r.key), 0) + coalesce(octet_length(r.value), 0))
                OVER (ORDER BY r."offset" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
    FROM (SELECT * FROM logs_record
          WHERE partition_id = %(partition_id)s AND "offset" >= %(offset)s
            AND %(offset)s >= (SELECT log_start FROM logs_partition WHERE id = %(partition_id)s)
          ORDER BY "offset" LIMIT %(max_records)s) r
) sized
WHERE bytes_before < %(max_bytes)s
ORDER BY "offset"
