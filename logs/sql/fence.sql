-- The first half of a reset, a transaction of its own: takes the partitions away from whoever holds them.
-- It waits for handlers' transactions past their last statement and dooms all others, which then fail at
-- once, without waiting for the second half: that may need rows they have locked. Id order: no deadlocks.
WITH chosen AS (
    SELECT id, CASE WHEN expires_at > clock_timestamp() THEN owner END AS holder
    FROM logs_group_partition WHERE id = ANY (%(group_partition_ids)s::int[])
    ORDER BY id
    FOR NO KEY UPDATE
)
UPDATE logs_group_partition g
SET epoch = g.epoch + 1, owner = %(holder)s, expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
FROM chosen WHERE g.id = chosen.id
RETURNING g.id, g.epoch, chosen.holder
