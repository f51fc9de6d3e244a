-- For the sweep: partitions that groups have not read to the end and nobody holds, waits to retry or paused.
SELECT c.name, t.name, p.number
FROM logs_group_partition g
JOIN logs_consumergroup c ON c.id = g.group_id
JOIN logs_partition p ON p.id = g.partition_id
JOIN logs_topic t ON t.id = p.topic_id
CROSS JOIN LATERAL logs_tail(p) e
LEFT JOIN LATERAL (SELECT committed FROM logs_commit
                   WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1) n ON true
WHERE c.name = ANY (%(groups)s::text[])
  AND (g.owner IS NULL OR g.expires_at < clock_timestamp())
  AND (g.retry_at IS NULL OR g.retry_at <= clock_timestamp())
  AND g.paused_at IS NULL AND c.paused_at IS NULL
  AND greatest(n.committed, p.log_start) < e.next_offset
LIMIT %(limit)s
