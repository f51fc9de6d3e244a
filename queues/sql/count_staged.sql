-- What this transaction has sent to a queue and what no count shows before its COMMIT.
SELECT count(*) FROM queues_message m
WHERE m.id = ANY (ARRAY(SELECT unnest(i.staged) FROM queues_intent i WHERE i.xid = pg_current_xact_id_if_assigned()))
  AND m.queue_id = %(queue_id)s AND m.state = 5
