-- What there is to share of a group, and who holds it: the whole picture from one snapshot.
SELECT g.id, g.partition_id, t.name, p.number, CASE WHEN g.expires_at > clock_timestamp() THEN g.owner END, g.epoch,
       g.paused_at IS NOT NULL OR c.paused_at IS NOT NULL AS is_paused
FROM logs_consumergroup c
JOIN logs_group_partition g ON g.group_id = c.id
JOIN logs_partition p ON p.id = g.partition_id
JOIN logs_topic t ON t.id = p.topic_id
WHERE c.id = %(group_id)s
ORDER BY t.name, p.number
