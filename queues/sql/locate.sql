-- What a sender or receiver needs to know of a queue, in one look.
SELECT q.id, q.revision, o.name, q.lease_seconds, q.max_receives, q.max_length, q.message_ttl_seconds, q.is_ordered,
       q.paused_at IS NOT NULL
FROM queues_queue q JOIN mqsite_boundary o ON o.id = q.owner_id
WHERE q.name = %(queue)s
