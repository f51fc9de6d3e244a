-- What became of a message, or of those of a correlation id, the latest first.
(SELECT o.message_id, o.correlation_id, o.outcome, o.by, o.receives, o.reason, o.at FROM queues_outcome o
 WHERE %(message_id)s::bigint IS NOT NULL AND o.queue_id = %(queue_id)s AND o.message_id = %(message_id)s::bigint
 ORDER BY o.id DESC LIMIT %(limit)s)
UNION ALL
(SELECT o.message_id, o.correlation_id, o.outcome, o.by, o.receives, o.reason, o.at FROM queues_outcome o
 WHERE %(correlation_id)s::text IS NOT NULL AND o.queue_id = %(queue_id)s
   AND o.correlation_id = left(%(correlation_id)s::text, 249)
 ORDER BY o.id DESC LIMIT %(limit)s)
LIMIT %(limit)s
