-- No row: the member is unknown, or of a former epoch. One that slept past its expiry is simply there again:
-- whatever it lost meanwhile has another epoch.
UPDATE logs_member SET expires_at = clock_timestamp() + make_interval(secs => session_seconds)
WHERE group_id = %(group_id)s AND name = %(name)s AND epoch = %(epoch)s
RETURNING session_seconds, is_static
