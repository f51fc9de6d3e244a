-- Dead letters start over at the tail, the oldest first, with their receives forgotten. An ordered one goes back
-- to its old place in its key, behind its head; the key is looked after at COMMIT.
WITH dead AS MATERIALIZED (
    SELECT m.id, m.position FROM queues_message m
    WHERE m.queue_id = (SELECT id FROM queues_queue WHERE name = %(queue)s) AND m.state = 4
      AND (%(ids)b::bigint[] IS NULL OR m.id = ANY (%(ids)b::bigint[]))
    ORDER BY m.position LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), placed AS MATERIALIZED (
    SELECT id, nextval('queues_message_id_seq') AS position FROM (SELECT id FROM dead ORDER BY position) d
), moved AS (
    UPDATE queues_message m
    SET state = CASE WHEN m.ordered THEN 3 ELSE 0 END, receives = 0,
        position = CASE WHEN m.ordered THEN m.id ELSE placed.position END, due_at = statement_timestamp(),
        reason = NULL, detail = NULL, died_at = NULL, died_receives = NULL
    FROM placed WHERE m.id = placed.id AND m.id = ANY (ARRAY(SELECT id FROM dead))
    RETURNING m.id, m.queue_id, m.group_key, m.state, m.ordered
), intent AS (
    INSERT INTO queues_intent (queue_id, keys)
    SELECT queue_id, array_agg(group_key) FROM moved WHERE ordered GROUP BY 1
)
SELECT %(queue)s::text, id, group_key, state FROM moved
