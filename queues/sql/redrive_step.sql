-- One step of a redrive job. The work is in the function.
SELECT * FROM queues_redrive_step(%(job)s::bigint, %(limit)s::int)
