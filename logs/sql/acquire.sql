-- The assignment: nobody holds it, or the holder was silent too long, no retry is being waited for, no pause.
-- SKIP LOCKED: a row in somebody's hands is not free; who lets go of it looks again.
WITH free AS (
    SELECT g.id FROM logs_group_partition g JOIN logs_consumergroup c ON c.id = g.group_id
    WHERE g.id = ANY (%(group_partition_ids)s::int[])
      AND (g.owner IS NULL OR g.expires_at < clock_timestamp())
      AND (g.retry_at IS NULL OR g.retry_at <= clock_timestamp())
      AND g.paused_at IS NULL AND c.paused_at IS NULL
    ORDER BY g.id
    FOR NO KEY UPDATE OF g SKIP LOCKED
)
UPDATE logs_group_partition g
SET owner = %(member)s, epoch = g.epoch + 1, expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
FROM free WHERE g.id = free.id
RETURNING g.id, g.epoch
