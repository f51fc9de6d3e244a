-- A member keeps its partitions, or some of them, in new epochs: nobody else who goes by its name, and no transaction
-- whose end it does not know, can commit any more. It waits for those that are past their last statement.
WITH held AS (
    SELECT id FROM logs_group_partition
    WHERE group_id = %(group_id)s AND owner = %(name)s
      AND (%(group_partition_ids)s::int[] IS NULL OR id = ANY (%(group_partition_ids)s::int[]))
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE logs_group_partition g
SET epoch = g.epoch + 1, expires_at = clock_timestamp() + make_interval(secs => %(session_seconds)s)
FROM held WHERE g.id = held.id
RETURNING g.id, g.epoch
