-- The first half of a deletion, for several partitions in id order: from its commit on nobody reads below.
SELECT u.id, logs_move_log_start(u.id, u.target)
FROM (SELECT * FROM unnest(%(partition_ids)s::int[], %(targets)s::bigint[]) u(id, target) ORDER BY id) u
