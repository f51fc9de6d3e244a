-- Dead letters start over at the tail, the oldest first, with their receives forgotten.
WITH dead AS MATERIALIZED (
    SELECT m.id, m.position FROM queues_message m
    WHERE m.queue_id = (SELECT id FROM queues_queue WHERE name = %(queue)s) AND m.state = 4
      AND (%(ids)b::bigint[] IS NULL OR m.id = ANY (%(ids)b::bigint[]))
    ORDER BY m.position LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), placed AS MATERIALIZED (
    SELECT id, nextval('queues_message_id_seq') AS position FROM (SELECT id FROM dead ORDER BY position) d
)
UPDATE queues_message m
SET state = 0, receives = 0, position = placed.position, due_at = statement_timestamp(),
    reason = NULL, detail = NULL, died_at = NULL
FROM placed WHERE m.id = placed.id AND m.id = ANY (ARRAY(SELECT id FROM dead))
RETURNING %(queue)s::text, m.id, m.group_key, m.state
