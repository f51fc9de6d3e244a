-- A member says that it is there. A static one that comes again is the same member in a new epoch: what its
-- former self still sends is refused.
INSERT INTO logs_member (group_id, name, is_static, epoch, topics, client, session_seconds, joined_at, expires_at)
VALUES (%(group_id)s, %(name)s, %(is_static)s, 1, %(topics)s::text[], %(client)s, %(session_seconds)s, clock_timestamp(),
        clock_timestamp() + make_interval(secs => %(session_seconds)s))
ON CONFLICT (group_id, name) DO UPDATE
SET is_static = excluded.is_static, epoch = logs_member.epoch + 1, topics = excluded.topics, client = excluded.client,
    session_seconds = excluded.session_seconds, joined_at = excluded.joined_at, expires_at = excluded.expires_at
RETURNING epoch
