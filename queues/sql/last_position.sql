-- The last position given out, in any queue.
SELECT last_value FROM queues_message_id_seq
