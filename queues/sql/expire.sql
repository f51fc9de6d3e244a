-- What was not received in its time is dead. By the clock of the statement: an index cannot be searched for a
-- volatile one.
SELECT * FROM queues_retire(ARRAY(
    SELECT id FROM queues_message WHERE expires_at <= statement_timestamp() AND expires_at IS NOT NULL
      AND state IN (0, 2, 3) AND queues_is_staying(queue_id) ORDER BY expires_at LIMIT %(limit)s), '{0,2,3}', 'expired', '')
