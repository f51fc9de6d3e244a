-- One row for the whole batch. Answers which of the ids the lease still covers; none = it is lost.
WITH l AS (
    UPDATE queues_lease l
    SET expires_at = clock_timestamp() + make_interval(secs => coalesce(%(seconds)s::float8, q.lease_seconds))
    FROM queues_queue q
    WHERE q.id = l.queue_id AND queues_relax(%(own)s) AND queues_share(%(own)s, q.id) AND q.name = %(queue)s AND l.id = %(token)s AND l.expires_at > clock_timestamp()
    RETURNING l.id
)
SELECT m.id FROM l JOIN queues_message m ON m.id = ANY (%(ids)b::bigint[]) AND m.lease_id = l.id
