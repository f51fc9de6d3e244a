-- A page of what waits for its time, in the order it will come. By due time and id: times may be equal.
SELECT m.id, m.due_at, m.group_key, m.priority, m.receives FROM queues_message m
WHERE m.queue_id = %(queue_id)s AND m.state = 2
  AND (%(after_due)s::timestamptz IS NULL OR (m.due_at, m.id) > (%(after_due)s::timestamptz, %(after_id)s::bigint))
ORDER BY m.due_at, m.id LIMIT %(limit)s
