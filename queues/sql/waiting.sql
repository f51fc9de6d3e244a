-- For the sweep, after it reaped and promoted: which of the queues have something to receive. A scalar
-- sub-select, because EXISTS may become a join that reads every message.
SELECT q.name FROM queues_queue q
WHERE q.name = ANY (%(queues)s::text[])
  AND (SELECT true FROM queues_message m WHERE m.queue_id = q.id AND m.state = 0
       ORDER BY m.priority DESC, m.position LIMIT 1)
LIMIT %(limit)s
