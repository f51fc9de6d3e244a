-- One point a step, so that their number does not depend on how long the history is: of each topic the newest
-- sample in the step, summed over the topics.
SELECT max(at), sum(lag)::bigint, max(lag_seconds), sum(log_end)::bigint
FROM (SELECT DISTINCT ON (step, topic_id) step, at, lag, lag_seconds, log_end
      FROM logs_lag_sample
      CROSS JOIN LATERAL date_bin(%(step_seconds)s * interval '1 second', at, 'epoch') step
      WHERE group_id = %(group_id)s AND (%(topic_id)s::int IS NULL OR topic_id = %(topic_id)s::int)
        AND at >= statement_timestamp() - %(seconds)s * interval '1 second'
      ORDER BY step, topic_id, at DESC) s
GROUP BY step
ORDER BY step
