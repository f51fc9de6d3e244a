-- A few dead letters, the oldest first or those named, start over where they died.
SELECT r.* FROM queues_revive(ARRAY(
    SELECT m.id FROM queues_message m
    WHERE m.queue_id = (SELECT id FROM queues_queue WHERE name = %(queue)s AND queues_share(false, id)) AND m.state = 4
      AND (%(ids)b::bigint[] IS NULL OR m.id = ANY (%(ids)b::bigint[]))
    ORDER BY m.position LIMIT %(limit)s FOR UPDATE SKIP LOCKED), NULL) r
