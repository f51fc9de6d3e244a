-- One look before and after a partition is held: does the group's position lie before the log end?
SELECT g.id
FROM logs_group_partition g
JOIN logs_consumergroup c ON c.id = g.group_id AND c.name = %(group)s
JOIN logs_partition p ON p.id = g.partition_id AND p.number = %(partition)s
JOIN logs_topic t ON t.id = p.topic_id AND t.name = %(topic)s
CROSS JOIN LATERAL logs_tail(p) e
WHERE e.next_offset > greatest(p.log_start, (
    SELECT committed FROM logs_commit WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1))
