-- commit_offset for several partitions. Those that do not come back are fenced; the others are committed.
-- Id order, as everybody else who locks several.
WITH fence AS (
    SELECT g.id, g.failing_offset, u.committed, u.metadata, g.paused_at IS NOT NULL OR c.paused_at IS NOT NULL AS is_paused
    FROM unnest(%(group_partition_ids)s::int[], %(epochs)s::bigint[], %(offsets)s::bigint[], %(metadata)s::text[])
        u(id, epoch, committed, metadata)
    JOIN logs_group_partition g ON g.id = u.id AND g.epoch = u.epoch
    JOIN logs_consumergroup c ON c.id = g.group_id
    ORDER BY g.id
    FOR NO KEY UPDATE OF g
), inserted AS (
    INSERT INTO logs_commit (group_partition_id, number, committed, at, metadata)
    SELECT id, nextval('logs_commit_number'), committed, clock_timestamp(), metadata FROM fence
), cleared AS (
    UPDATE logs_group_partition g SET attempts = 0, failing_offset = NULL, error = '', retry_at = NULL
    FROM fence WHERE g.id = fence.id AND fence.failing_offset < fence.committed
)
SELECT id, is_paused, CASE WHEN %(is_soon)s THEN set_config('synchronous_commit', 'off', true) END FROM fence
