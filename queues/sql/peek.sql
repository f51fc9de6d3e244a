-- Messages as they stand, looked at without receiving them.
SELECT m.lease_id, m.position, m.id, m.payload, m.content_type, m.headers, m.group_key, m.priority, m.receives,
       m.enqueued_at, m.sender
FROM queues_message m
WHERE m.id = ANY (%(ids)b::bigint[]) AND m.queue_id = (SELECT id FROM queues_queue WHERE name = %(queue)s)
