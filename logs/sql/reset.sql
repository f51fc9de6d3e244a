-- Moves the offsets of what the reset has locked and lets go of it. What was committed before becomes a replay.
WITH held AS (
    SELECT g.id, u.target, (SELECT committed FROM logs_commit c WHERE c.group_partition_id = g.id
                            ORDER BY c.number DESC LIMIT 1) AS committed
    FROM unnest(%(group_partition_ids)s::int[], %(targets)s::bigint[]) u(id, target)
    JOIN logs_group_partition g ON g.id = u.id
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
