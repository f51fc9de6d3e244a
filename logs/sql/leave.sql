-- What the member held is free at once.
WITH gone AS (
    DELETE FROM logs_member WHERE group_id = %(group_id)s AND name = %(name)s AND epoch = %(epoch)s RETURNING name
), held AS (
    SELECT g.id FROM logs_group_partition g, gone
    WHERE g.group_id = %(group_id)s AND g.owner = gone.name ORDER BY g.id FOR NO KEY UPDATE OF g
), freed AS (
    UPDATE logs_group_partition g SET owner = NULL, expires_at = NULL FROM held WHERE g.id = held.id
)
SELECT name FROM gone
