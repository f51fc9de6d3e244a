-- The heartbeat: this worker lives. A row in a thread's hands is skipped, it is just being written.
UPDATE queues_handling SET seen_at = clock_timestamp() WHERE id = ANY (ARRAY(
    SELECT id FROM queues_handling WHERE worker = %(worker)s AND queues_relax(%(own)s) FOR UPDATE SKIP LOCKED))
