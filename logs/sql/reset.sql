-- Moves the offsets of what the reset has locked and lets go of it. What was committed before becomes a replay.
WITH held AS (
    SELECT g.id, g.epoch, u.target, p.log_start,
           (SELECT committed FROM logs_commit c WHERE c.group_partition_id = g.id ORDER BY c.number DESC LIMIT 1) AS committed
    FROM unnest(%(group_partition_ids)s::int[], %(targets)s::bigint[]) u(id, target)
    JOIN logs_group_partition g ON g.id = u.id
    JOIN logs_partition p ON p.id = g.partition_id
), freed AS (
    UPDATE logs_group_partition g
    SET owner = NULL, expires_at = NULL, replay_until = greatest(g.replay_until, held.committed),
        reset_epoch = g.epoch, attempts = 0, failing_offset = NULL, error = '', retry_at = NULL
    FROM held WHERE g.id = held.id
), moved AS (
    INSERT INTO logs_commit (group_partition_id, number, committed, at)
    SELECT id, nextval('logs_commit_number'), target, clock_timestamp() FROM held
), noted AS (
    INSERT INTO logs_reset_move (reset_id, group_partition_id, epoch, committed, position, target)
    SELECT %(reset_id)s, id, epoch, committed, greatest(committed, log_start), target FROM held
)
SELECT id, committed, target FROM held ORDER BY id
