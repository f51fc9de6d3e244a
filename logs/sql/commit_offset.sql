-- No row = fenced. The row lock orders this against a reset, which bumps the epoch: either that waits
-- for this transaction, or this one sees the new epoch. Hence the LAST statement of a handler's transaction.
WITH fence AS (
    SELECT id FROM logs_group_partition
    WHERE id = %(group_partition_id)s AND epoch = %(epoch)s FOR NO KEY UPDATE
)
INSERT INTO logs_commit (group_partition_id, number, committed, at)
SELECT id, nextval('logs_commit_number'), %(offset)s, clock_timestamp() FROM fence
RETURNING committed
