-- One message again, by its id, if nobody has it and it is as it was.
SELECT id FROM queues_message WHERE id = %(id)s AND state = 0 AND receives = %(receives)s FOR UPDATE SKIP LOCKED
