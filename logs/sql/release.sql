-- Only the holder of this epoch lets go; a fenced one has nothing to release. is_soon: a crash that loses it leaves
-- the partition held until the holder is missed.
UPDATE logs_group_partition SET owner = NULL, expires_at = NULL
WHERE id = %(group_partition_id)s AND epoch = %(epoch)s
RETURNING id, CASE WHEN %(is_soon)s THEN set_config('synchronous_commit', 'off', true) END
