-- Where every group stands on every partition of topics, both ends and the age of the oldest unread
-- record from one snapshot, so that lag is never negative.
WITH ends AS MATERIALIZED (
    SELECT p.id, p.topic_id, p.number, p.log_start, t.next_offset AS log_end, t.last_bytes - p.log_start_bytes AS bytes
    FROM logs_partition p CROSS JOIN LATERAL logs_tail(p) t
    WHERE p.topic_id = ANY (%(topic_ids)s::int[])
)
SELECT e.topic_id, e.number, e.log_start, e.log_end, e.bytes, c.name, n.committed,
       e.log_end - greatest(n.committed, e.log_start) AS lag,
       extract(epoch FROM clock_timestamp() - oldest."timestamp")::float8 AS lag_seconds,
       CASE WHEN g.expires_at > clock_timestamp() THEN g.owner END AS owner, g.epoch,
       g.paused_at IS NOT NULL OR c.paused_at IS NOT NULL, g.failing_offset, g.attempts, g.error,
       CASE WHEN g.retry_at < '9999-12-31' THEN extract(epoch FROM g.retry_at - clock_timestamp())::float8 END AS retry_in,
       g.retry_at = '9999-12-31' AS is_blocked
FROM ends e
LEFT JOIN logs_group_partition g ON g.partition_id = e.id AND g.group_id = coalesce(%(group_id)s::int, g.group_id)
LEFT JOIN logs_consumergroup c ON c.id = g.group_id
LEFT JOIN LATERAL (SELECT committed FROM logs_commit
                   WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1) n ON true
LEFT JOIN LATERAL (SELECT r.found_timestamp AS "timestamp" FROM logs_record_at(e.id, greatest(n.committed, e.log_start)) r
                   WHERE greatest(n.committed, e.log_start) < e.log_end) oldest ON g.id IS NOT NULL
ORDER BY e.topic_id, e.number, c.name
