-- The record that failed has been handled.
UPDATE logs_group_partition SET attempts = 0, failing_offset = NULL, error = '', retry_at = NULL
WHERE id = %(group_partition_id)s AND epoch = %(epoch)s
RETURNING id
