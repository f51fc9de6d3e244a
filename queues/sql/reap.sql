-- What expired comes back. The work is in the function, which pins its plan.
SELECT * FROM queues_reap(%(dead_seconds)s::float8, %(limit)s::int)
