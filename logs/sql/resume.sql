-- The opposite of pause. What was paused by itself stays so when the whole group resumes. Answers how much changed.
WITH whole AS (
    UPDATE logs_consumergroup SET paused_at = NULL, paused_by = '', pause_reason = ''
    WHERE id = %(group_id)s AND %(group_partition_ids)s::int[] IS NULL AND paused_at IS NOT NULL
    RETURNING id
), chosen AS (
    SELECT id FROM logs_group_partition WHERE id = ANY (%(group_partition_ids)s::int[]) AND paused_at IS NOT NULL
    ORDER BY id FOR NO KEY UPDATE
), parts AS (
    UPDATE logs_group_partition g SET paused_at = NULL, paused_by = '', pause_reason = ''
    FROM chosen WHERE g.id = chosen.id
    RETURNING g.id
)
SELECT (SELECT count(*) FROM whole) + (SELECT count(*) FROM parts)
