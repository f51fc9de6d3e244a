-- Only the holder of this epoch lets go; a fenced one has nothing to release.
UPDATE logs_group_partition SET owner = NULL, expires_at = NULL
WHERE id = %(group_partition_id)s AND epoch = %(epoch)s
RETURNING id
