-- Groups with a topic that has no sample in this minute yet: one step into the key for each of their topics,
-- since nothing else of a long history may be read for it.
SELECT DISTINCT d.group_id
FROM (SELECT DISTINCT g.group_id, p.topic_id
      FROM logs_group_partition g JOIN logs_partition p ON p.id = g.partition_id) d
LEFT JOIN LATERAL (SELECT at FROM logs_lag_sample s
                   WHERE s.group_id = d.group_id AND s.topic_id = d.topic_id ORDER BY at DESC LIMIT 1) n ON true
WHERE n.at IS NULL OR n.at < date_trunc('minute', statement_timestamp())
