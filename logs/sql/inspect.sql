-- One page of partitions, by id, for the upkeep: where retention wants the log start to be, and how many
-- records the present segment holds: outside the shared one, those that expired keep their room until it is
-- emptied. By size at least the newest record stays, as in Kafka.
SELECT p.id, p.topic_id, p.segment,
       t.next_offset - p.log_start AS records,
       CASE WHEN p.segment = 0 THEN t.next_offset - p.log_start
            WHEN c.cleanup_policy = 'compact' THEN 0  -- no segment of it ever expires whole
            ELSE t.next_offset - p.segment_start END AS in_segment,
       CASE WHEN c.cleanup_policy LIKE '%%delete%%' THEN greatest(
           CASE WHEN c.retention_ms >= 0 AND r.found_timestamp_max < cutoff
                THEN logs_first_offset(p.id, cutoff, NULL) END,
           CASE WHEN c.retention_bytes >= 0 AND t.last_bytes - p.log_start_bytes > c.retention_bytes
                THEN least(t.next_offset - 1, logs_first_offset(p.id, NULL, t.last_bytes - c.retention_bytes)) END)
       END AS target
FROM (SELECT * FROM logs_partition WHERE id > %(after_id)s ORDER BY id LIMIT %(limit)s) p
JOIN logs_topic c ON c.id = p.topic_id
CROSS JOIN LATERAL logs_tail(p::logs_partition) t
CROSS JOIN LATERAL logs_record_at(p.id, p.log_start) r
CROSS JOIN LATERAL (SELECT clock_timestamp() - c.retention_ms * interval '1 millisecond' AS cutoff) x
ORDER BY p.id
