-- What a redrive would find: how many letters were looked at from the front of their indexes, and how many fit. The
-- filter is that of queues_redrive_step.
SELECT count(*), count(*) FILTER (
    WHERE (%(only_reason)s::text IS NULL OR m.reason = %(only_reason)s::text)
      AND (%(died_after)s::timestamptz IS NULL OR m.died_at >= %(died_after)s::timestamptz)
      AND (%(died_before)s::timestamptz IS NULL OR m.died_at < %(died_before)s::timestamptz)
      AND (%(only_text)s::text IS NULL OR position(%(only_text)s::text IN coalesce(m.detail, '')) > 0
           OR position(%(only_text)s::text IN coalesce(m.headers, '')) > 0
           OR position(convert_to(%(only_text)s::text, 'UTF8') IN m.payload) > 0))
FROM (
    (SELECT m.* FROM queues_message m
     WHERE %(ids)s::bigint[] IS NULL AND m.queue_id = %(queue_id)s AND m.state = 4
     ORDER BY m.position LIMIT %(limit)s)
    UNION ALL
    (SELECT m.* FROM queues_message m
     WHERE %(ids)s::bigint[] IS NULL AND m.queue_id = %(queue_id)s AND m.state = 0 AND m.source_id IS NOT NULL
     ORDER BY m.position LIMIT %(limit)s)
    UNION ALL
    (SELECT m.* FROM queues_message m
     WHERE m.id = ANY (%(ids)s::bigint[]) AND m.queue_id = %(queue_id)s
       AND (m.state = 4 OR m.state = 0 AND m.source_id IS NOT NULL))
) m
