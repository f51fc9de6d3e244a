-- Deletes samples the history no longer keeps, in one bounded batch. There is no index on the time alone, so
-- it steps from pair to pair through the key, and looks at the old samples of one slice of the pairs.
WITH RECURSIVE pairs AS (
    (SELECT group_id, topic_id FROM logs_lag_sample ORDER BY group_id, topic_id LIMIT 1)
    UNION ALL
    SELECT n.group_id, n.topic_id
    FROM pairs p CROSS JOIN LATERAL (
        SELECT s.group_id, s.topic_id FROM logs_lag_sample s
        WHERE (s.group_id, s.topic_id) > (p.group_id, p.topic_id) ORDER BY s.group_id, s.topic_id LIMIT 1) n
), done AS (
    SELECT p.group_id, p.topic_id, o.at
    FROM pairs p CROSS JOIN LATERAL (
        SELECT at, lag(at) OVER (ORDER BY at) AS before FROM logs_lag_sample s
        WHERE s.group_id = p.group_id AND s.topic_id = p.topic_id
          AND at < statement_timestamp() - %(fine_seconds)s * interval '1 second') o
    WHERE mod(p.group_id + p.topic_id, %(slices)s) = %(slice)s
      AND (o.before >= date_bin(%(step_seconds)s * interval '1 second', o.at, 'epoch')
           OR o.at < statement_timestamp() - %(kept_seconds)s * interval '1 second')
    LIMIT %(limit)s
)
DELETE FROM logs_lag_sample s USING done d
WHERE s.group_id = d.group_id AND s.topic_id = d.topic_id AND s.at = d.at
RETURNING s.group_id
