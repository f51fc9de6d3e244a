-- A sample of the groups' topics that have none in this minute yet, all with one time. The table read is
-- lags.sql, put in its place by the store, so that history and present are the same measure.
INSERT INTO logs_lag_sample (group_id, topic_id, at, lag, lag_seconds, log_end)
SELECT l.group_id, l.topic_id, statement_timestamp(), l.lag, l.lag_seconds, l.log_end
FROM logs_lags l
LEFT JOIN LATERAL (SELECT at FROM logs_lag_sample s
                   WHERE s.group_id = l.group_id AND s.topic_id = l.topic_id ORDER BY at DESC LIMIT 1) n ON true
WHERE n.at IS NULL OR n.at < date_trunc('minute', statement_timestamp())
RETURNING group_id
