-- For a transaction that handles what it takes. The work is in the function, which pins its plan.
SELECT * FROM queues_take(
    %(queue_id)s::int, %(revision)s::uuid, %(lows)b::smallint[], %(highs)b::smallint[], %(floors)b::bigint[],
    %(most)s::int)
