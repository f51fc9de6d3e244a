-- The first statement of a handler's transaction. KEY SHARE is in nobody's way but the second half of a
-- reset, which waits for it: on_reset then meets no handler that still holds rows. No row = fenced.
SELECT id FROM logs_group_partition
WHERE id = %(group_partition_id)s AND epoch = %(epoch)s FOR KEY SHARE
