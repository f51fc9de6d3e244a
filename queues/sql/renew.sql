-- The heartbeat of one holder, for the leases it works on. Rows in a committing handler's hands are
-- skipped: the next beat comes well before they expire. Never shorter than it was extended to.
WITH held AS (
    SELECT l.id, q.lease_seconds FROM queues_lease l JOIN queues_queue q ON q.id = l.queue_id
    WHERE queues_relax(%(own)s) AND l.holder = %(holder)s AND l.expires_at > clock_timestamp()
      AND (%(tokens)b::uuid[] IS NULL OR l.id = ANY (%(tokens)b::uuid[]))
    FOR NO KEY UPDATE OF l SKIP LOCKED
)
UPDATE queues_lease l
SET expires_at = greatest(l.expires_at,
        clock_timestamp() + make_interval(secs => coalesce(%(seconds)s::float8, held.lease_seconds)))
FROM held WHERE l.id = held.id
RETURNING l.id
