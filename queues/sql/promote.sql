-- Scheduled messages whose time has come go to the tail of ready, in the order they were due.
-- Per queue, so that one queue's flood does not hold up the others. The array makes the planner look
-- the rows up by id however many it expects.
WITH due AS MATERIALIZED (
    SELECT q.name, d.id, d.due_at FROM queues_queue q CROSS JOIN LATERAL (
        SELECT m.id, m.due_at FROM queues_message m
        WHERE m.queue_id = q.id AND m.state = 2 AND m.due_at <= statement_timestamp()
        ORDER BY m.due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) d
), placed AS MATERIALIZED (
    SELECT name, id, nextval('queues_message_id_seq') AS position
    FROM (SELECT name, id FROM due ORDER BY due_at, id) d
)
UPDATE queues_message m SET state = 0, position = placed.position
FROM placed WHERE m.id = placed.id AND m.id = ANY (ARRAY(SELECT id FROM due))
RETURNING placed.name, m.id, m.group_key, m.state
