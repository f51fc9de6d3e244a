-- The assignment: nobody holds it, or the holder was silent too long, and no retry is being waited for.
-- SKIP LOCKED: a row in somebody's hands is not free; who lets go of it looks again.
WITH free AS (
    SELECT g.id FROM logs_group_partition g
    WHERE g.id = %(group_partition_id)s
      AND (g.owner IS NULL OR g.expires_at < clock_timestamp())
      AND (g.retry_at IS NULL OR g.retry_at <= clock_timestamp())
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE logs_group_partition g
SET owner = %(member)s, epoch = g.epoch + 1, expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
FROM free WHERE g.id = free.id
RETURNING g.epoch, g.replay_until, g.attempts
