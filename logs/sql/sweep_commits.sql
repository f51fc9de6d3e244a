-- Deletes commits that a newer one replaced, in one bounded batch.
DELETE FROM logs_commit WHERE (group_partition_id, number) IN (
    SELECT c.group_partition_id, c.number FROM logs_commit c
    WHERE EXISTS (SELECT FROM logs_commit n
                  WHERE n.group_partition_id = c.group_partition_id AND n.number > c.number)
    LIMIT %(limit)s
)
RETURNING number
