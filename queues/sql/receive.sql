-- One round trip. The work is in the function, which pins its plan.
SELECT * FROM queues_receive(%(queue_id)s::int, %(most)s::int, %(alone_from)s::int, %(holder)s::text, %(seconds)s::float8)
