-- The heartbeat of one member, for what it reads just now. Rows in a committing handler's hands are skipped:
-- the next beat comes well before they expire.
WITH held AS (
    SELECT id FROM logs_group_partition
    WHERE id = ANY (%(group_partition_ids)s::int[]) AND owner = %(member)s AND expires_at > clock_timestamp()
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE logs_group_partition g SET expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
FROM held WHERE g.id = held.id
RETURNING g.id
