-- This thread handles nothing any more.
DELETE FROM queues_handling WHERE id = %(handling)s AND queues_relax(%(own)s)
