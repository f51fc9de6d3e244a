-- The second half: moves the offsets of what the first half holds and lets go of it. What was committed
-- before becomes a replay. A row of another epoch was taken by somebody else meanwhile and does not come back.
WITH held AS (
    SELECT g.id, u.target, (SELECT committed FROM logs_commit c WHERE c.group_partition_id = g.id
                            ORDER BY c.number DESC LIMIT 1) AS committed
    FROM unnest(%(group_partition_ids)s::int[], %(epochs)s::bigint[], %(targets)s::bigint[]) u(id, epoch, target)
    JOIN logs_group_partition g ON g.id = u.id AND g.epoch = u.epoch
    ORDER BY g.id
    FOR NO KEY UPDATE OF g
), freed AS (
    UPDATE logs_group_partition g
    SET owner = NULL, expires_at = NULL, replay_until = greatest(g.replay_until, held.committed),
        attempts = 0, failing_offset = NULL, error = '', retry_at = NULL
    FROM held WHERE g.id = held.id
), moved AS (
    INSERT INTO logs_commit (group_partition_id, number, committed, at)
    SELECT id, nextval('logs_commit_number'), target, clock_timestamp() FROM held
)
SELECT id, committed, target FROM held ORDER BY id
