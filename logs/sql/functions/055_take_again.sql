-- The last holder of a partition takes it again, in the epoch it had: nobody else held it since, so what it knew still
-- holds. Hence a crash that loses this loses nothing, and it need not wait for the disk: a new epoch must, lest it be
-- given out twice. NULL: not in this epoch, not free (as in acquire.sql), or its commit is not the position: then a
-- crash or a failover took back what did not wait for the disk. False: all that is well, but nothing is unread.
CREATE FUNCTION logs_take_again(
    group_partition int, epoch_ bigint, position_ bigint, boundary_ text, member text, seconds float8
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held logs_group_partition;
    is_unread boolean;
BEGIN
    SELECT * INTO held FROM logs_group_partition
    WHERE id = group_partition AND epoch = epoch_ AND owner IS NULL AND paused_at IS NULL
      AND (retry_at IS NULL OR retry_at <= clock_timestamp())
    FOR NO KEY UPDATE SKIP LOCKED;
    -- A look of its own, after the row is locked: who pauses the group waits for the lock, then sees us.
    IF NOT FOUND OR NOT EXISTS (
        SELECT FROM logs_consumergroup c JOIN mqsite_boundary b ON b.id = c.owner_id
        WHERE c.id = held.group_id AND c.paused_at IS NULL AND b.name = coalesce(boundary_, b.name)) THEN
        RETURN NULL;
    END IF;
    SELECT t.next_offset > position_ INTO is_unread FROM logs_partition p, logs_tail(p) t
    WHERE p.id = held.partition_id AND position_ = coalesce((
        SELECT committed FROM logs_commit WHERE group_partition_id = held.id ORDER BY number DESC LIMIT 1), p.log_start);
    IF is_unread THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        UPDATE logs_group_partition
        SET owner = member, expires_at = clock_timestamp() + make_interval(secs => seconds)
        WHERE id = group_partition;
    END IF;
    RETURN is_unread;
END $$;
