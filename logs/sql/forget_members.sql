-- Members that are long gone without having left, in one bounded batch.
DELETE FROM logs_member WHERE id IN (
    SELECT id FROM logs_member WHERE expires_at < clock_timestamp() - make_interval(secs => %(after_seconds)s) LIMIT %(limit)s
)
RETURNING id
