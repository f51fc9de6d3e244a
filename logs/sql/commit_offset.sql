-- No row = fenced. The row lock orders this against a reset, which bumps the epoch: either that waits
-- for this transaction, or this one sees the new epoch. Hence the LAST statement of a handler's transaction.
-- It also answers whether the holder should stop, since it was paused: so nobody needs to ask before each batch.
-- A failure that was noted before the offset is past. is_soon: the transaction, which is this statement alone, does not wait for the disk; a crash redelivers.
WITH fence AS (
    SELECT g.id, g.failing_offset, g.paused_at IS NOT NULL OR c.paused_at IS NOT NULL AS is_paused
    FROM logs_group_partition g JOIN logs_consumergroup c ON c.id = g.group_id
    WHERE g.id = %(group_partition_id)s AND g.epoch = %(epoch)s FOR NO KEY UPDATE OF g
), inserted AS (
    INSERT INTO logs_commit (group_partition_id, number, committed, at, metadata)
    SELECT id, nextval('logs_commit_number'), %(offset)s, clock_timestamp(), %(metadata)s FROM fence
), cleared AS (
    UPDATE logs_group_partition g SET attempts = 0, failing_offset = NULL, error = '', retry_at = NULL
    FROM fence WHERE g.id = fence.id AND fence.failing_offset < %(offset)s
)
SELECT is_paused, CASE WHEN %(is_soon)s THEN set_config('synchronous_commit', 'off', true) END FROM fence
