-- auto.offset.reset moved one partition of a group past what retention took: written down like any other reset.
WITH noted AS (
    INSERT INTO logs_reset (group_id, at, actor, mode, said, reason)
    SELECT group_id, clock_timestamp(), 'auto.offset.reset', 'auto', %(said)s, %(reason)s
    FROM logs_group_partition WHERE id = %(group_partition_id)s
    RETURNING id
)
INSERT INTO logs_reset_move (reset_id, group_partition_id, epoch, committed, position, target)
SELECT id, %(group_partition_id)s, %(epoch)s, %(committed)s, %(committed)s, %(target)s FROM noted
