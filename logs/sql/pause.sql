-- Chosen partitions of a group, or all of it, stop after what is being handled now. Paused once, it keeps who and why.
-- Answers how much that changed.
WITH whole AS (
    UPDATE logs_consumergroup SET paused_at = clock_timestamp(), paused_by = %(actor)s, pause_reason = %(reason)s
    WHERE id = %(group_id)s AND %(group_partition_ids)s::int[] IS NULL AND paused_at IS NULL
    RETURNING id
), chosen AS (
    SELECT id FROM logs_group_partition WHERE id = ANY (%(group_partition_ids)s::int[]) AND paused_at IS NULL
    ORDER BY id FOR NO KEY UPDATE
), parts AS (
    UPDATE logs_group_partition g SET paused_at = clock_timestamp(), paused_by = %(actor)s, pause_reason = %(reason)s
    FROM chosen WHERE g.id = chosen.id
    RETURNING g.id
)
SELECT (SELECT count(*) FROM whole) + (SELECT count(*) FROM parts)
