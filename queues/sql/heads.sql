-- The first ready position of each priority: a loose scan of the ready index, from the bottom. In the function,
-- which pins its plan.
SELECT * FROM queues_heads(%(queue_id)s::int, %(revision)s::uuid)
