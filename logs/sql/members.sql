-- Who is there, by the database's clock.
SELECT name, is_static, epoch, topics, client, session_seconds, joined_at, expires_at
FROM logs_member WHERE group_id = %(group_id)s AND expires_at > clock_timestamp()
ORDER BY name
