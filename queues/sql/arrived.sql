-- For all who wait in a process, in one look. A queue that is gone has arrived as well: who waits shall hear of it.
SELECT * FROM queues_arrived(
    %(queue_ids)b::int[], %(lows)b::smallint[], %(highs)b::smallint[], %(floors)b::bigint[])
