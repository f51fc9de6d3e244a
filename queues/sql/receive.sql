-- One round trip, which need not wait for the disk: a claim that a crash takes back is received again. The work
-- is in the function, which pins its plan.
SELECT r.* FROM (
    SELECT queues_relax(%(own)s), queues_share(%(own)s, %(queue_id)s::int) OFFSET 0) relaxed CROSS JOIN LATERAL queues_receive(
    %(queue_id)s::int, %(revision)s::uuid, %(lows)b::smallint[], %(highs)b::smallint[], %(floors)b::bigint[],
    %(most)s::int, %(most_bytes)s::int, %(alone_from)s::int, %(holder)s::text, %(seconds)s::float8) r
