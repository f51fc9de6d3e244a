-- A dead letter of the queue that nobody holds, with another payload, type and headers; no row if it is none.
UPDATE queues_message m
SET payload = %(payload)b::bytea, content_type = %(content_type)s, headers = %(headers)s
WHERE m.id = (SELECT l.id FROM queues_message l
              WHERE l.id = %(id)s AND l.queue_id = %(queue_id)s AND (l.state = 4 OR l.state = 0 AND l.source_id IS NOT NULL)
              FOR UPDATE SKIP LOCKED)
RETURNING m.id
