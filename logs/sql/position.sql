-- Where a group goes on reading: its newest commit, or the log start if it has none or retention passed it.
SELECT c.committed, p.log_start
FROM logs_group_partition g
JOIN logs_partition p ON p.id = g.partition_id
LEFT JOIN LATERAL (
    SELECT committed FROM logs_commit WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1) c ON true
WHERE g.id = %(group_partition_id)s
