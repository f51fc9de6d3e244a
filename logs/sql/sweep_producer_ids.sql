-- Forgets producer ids older than the window, in one bounded batch.
DELETE FROM logs_published WHERE (topic_id, producer_id) IN (
    SELECT topic_id, producer_id FROM logs_published
    WHERE at < clock_timestamp() - make_interval(secs => %(window_seconds)s) LIMIT %(limit)s
)
RETURNING 1
