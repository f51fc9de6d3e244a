-- The record at `offset` failed: the group waits before it tries again, and everyone can see why. Without
-- retry_seconds it waits until somebody says so: the end of PostgreSQL's calendar would be no date for Python.
UPDATE logs_group_partition
SET attempts = CASE WHEN failing_offset = %(offset)s THEN attempts + 1 ELSE 1 END,
    failing_offset = %(offset)s, error = %(error)s, owner = NULL, expires_at = NULL,
    retry_at = coalesce(clock_timestamp() + make_interval(secs => %(retry_seconds)s::float8), '9999-12-31')
WHERE id = %(group_partition_id)s AND epoch = %(epoch)s
RETURNING attempts
