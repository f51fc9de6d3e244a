-- The last holder of a partition takes it again, in the epoch it had: nobody else held it since, so what it knew still
-- holds. Hence a crash that loses this loses nothing, and it need not wait for the disk: a new epoch must, lest it be
-- given out twice. NULL: not in this epoch, or not free (as in acquire.sql). False: it is, but nothing is unread.
CREATE FUNCTION logs_take_again(
    group_partition int, epoch_ bigint, position_ bigint, member text, seconds float8
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held logs_group_partition;
BEGIN
    SELECT * INTO held FROM logs_group_partition
    WHERE id = group_partition AND epoch = epoch_ AND owner IS NULL AND paused_at IS NULL
      AND (retry_at IS NULL OR retry_at <= clock_timestamp())
    FOR NO KEY UPDATE SKIP LOCKED;
    -- A look of its own, after the row is locked: who pauses the group waits for the lock, then sees us.
    IF NOT FOUND OR EXISTS (SELECT FROM logs_consumergroup WHERE id = held.group_id AND paused_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    IF NOT EXISTS (
        SELECT FROM logs_partition p, logs_tail(p) t WHERE p.id = held.partition_id AND t.next_offset > position_) THEN
        RETURN false;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE logs_group_partition SET owner = member, expires_at = clock_timestamp() + make_interval(secs => seconds)
    WHERE id = group_partition;
    RETURN true;
END $$;
