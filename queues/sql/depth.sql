-- One look for many queues. The work is in the function, which pins its plan.
SELECT * FROM queues_depth(%(queue_ids)b::int[], %(limit)s::int)
