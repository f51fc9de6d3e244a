-- Where a group stands, for a plan: both ends, the commit, the last reset and who holds it, from one snapshot.
SELECT g.id, g.partition_id, t.name, p.number, n.committed, p.log_start, e.next_offset, g.reset_epoch,
       (SELECT count(*) FROM logs_partition x WHERE x.topic_id = t.id)::int,
       g.paused_at IS NOT NULL OR c.paused_at IS NOT NULL,
       CASE WHEN g.expires_at > clock_timestamp() THEN g.owner END, n.metadata
FROM logs_consumergroup c
JOIN logs_group_partition g ON g.group_id = c.id
JOIN logs_partition p ON p.id = g.partition_id
JOIN logs_topic t ON t.id = p.topic_id
CROSS JOIN LATERAL logs_tail(p) e
LEFT JOIN LATERAL (
    SELECT committed, metadata FROM logs_commit WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1) n ON true
WHERE c.name = %(group)s
ORDER BY t.name, p.number
