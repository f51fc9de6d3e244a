-- What a receiver needs to know of a queue, in one look.
SELECT q.id, o.name, q.lease_seconds, q.max_receives
FROM queues_queue q JOIN mqsite_boundary o ON o.id = q.owner_id
WHERE q.name = %(queue)s
