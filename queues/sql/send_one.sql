-- A message on its own, to be received at once: with as few parameters as that needs, since each of them costs
-- both sides. No row = the queue is not what the caller remembers.
INSERT INTO queues_message (id, queue_id, state, priority, position, group_key, sender, content_type, headers, payload)
SELECT n, %(queue_id)s, 0, 0, n, %(group_key)s, %(sender)s, %(content_type)s, %(headers)s, %(payload)b
FROM (SELECT nextval('queues_message_id_seq') AS n WHERE (SELECT queues_enter(%(queue_id)s, %(revision)s))) s
RETURNING id
