-- What dead workers had in hand is charged for it. The work is in the function.
SELECT * FROM queues_charge(%(dead_seconds)s::float8, %(limit)s::int)
