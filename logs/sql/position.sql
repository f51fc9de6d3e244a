-- Where a group goes on reading partitions: its newest commits, both ends of the log, and its policy for the case
-- that it has none or that retention passed it.
SELECT g.id, g.epoch, g.replay_until, g.attempts, n.committed, p.log_start, t.next_offset, c.auto_offset_reset
FROM logs_group_partition g
JOIN logs_consumergroup c ON c.id = g.group_id
JOIN logs_partition p ON p.id = g.partition_id
CROSS JOIN LATERAL logs_tail(p) t
LEFT JOIN LATERAL (
    SELECT committed FROM logs_commit WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1) n ON true
WHERE g.id = ANY (%(group_partition_ids)s::int[])
