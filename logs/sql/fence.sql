-- The first half of a reset, a transaction of its own: takes the partitions away from whoever holds them.
-- It waits for handlers' transactions past their last statement and dooms all others, which then fail at
-- once, without waiting for the second half: that may need rows they have locked. Id order: no deadlocks.
WITH chosen AS (
    SELECT g.id, g.partition_id, p.number, t.name AS topic FROM logs_group_partition g
    JOIN logs_partition p ON p.id = g.partition_id
    JOIN logs_topic t ON t.id = p.topic_id
    JOIN logs_consumergroup c ON c.id = g.group_id
    WHERE c.name = %(group)s
      AND (%(topic)s::text IS NULL OR t.name = %(topic)s::text)
      AND (%(partitions)s::int[] IS NULL OR p.number = ANY (%(partitions)s::int[]))
    ORDER BY g.id
    FOR NO KEY UPDATE OF g
)
UPDATE logs_group_partition g
SET epoch = g.epoch + 1, owner = %(holder)s, expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
FROM chosen WHERE g.id = chosen.id
RETURNING g.id, g.epoch, chosen.partition_id, chosen.number, chosen.topic
