-- Become the one reader of a partition: acquire.sql and position.sql for one, in one call, by names. No row: the group
-- does not read it. No epoch: the group is another boundary's, it is held, waits for a retry or is paused, or, where
-- that is asked, nothing is unread.
CREATE FUNCTION logs_acquire_one(
    group_ text, topic_ text, number_ int, boundary_ text, only_unread boolean, member text, seconds float8
) RETURNS TABLE (
    group_partition_id int, epoch bigint, replay_until bigint, attempts int, committed bigint, log_start bigint,
    log_end bigint, auto_offset_reset text, partition_id int, boundary text
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    found_ record;
BEGIN
    -- One row by its key in each: in a join, small tables whose statistics are old have all groups of the topic read.
    SELECT g.id, g.partition_id, g.group_id, (
        SELECT b.name FROM logs_consumergroup c JOIN mqsite_boundary b ON b.id = c.owner_id WHERE c.id = g.group_id)
        INTO found_
    FROM logs_group_partition g
    WHERE g.group_id = (SELECT c.id FROM logs_consumergroup c WHERE c.name = group_)
      AND g.partition_id = (SELECT p.id FROM logs_partition p WHERE p.number = number_
                            AND p.topic_id = (SELECT t.id FROM logs_topic t WHERE t.name = topic_));
    IF NOT FOUND THEN
        RETURN;
    END IF;
    group_partition_id := found_.id;
    partition_id := found_.partition_id;
    boundary := found_.name;
    PERFORM FROM logs_group_partition g
    WHERE g.id = found_.id AND found_.name = coalesce(boundary_, found_.name)
      AND (g.owner IS NULL OR g.expires_at < clock_timestamp())
      AND (g.retry_at IS NULL OR g.retry_at <= clock_timestamp()) AND g.paused_at IS NULL
      AND (NOT only_unread OR EXISTS (
          SELECT FROM logs_partition p, logs_tail(p) t
          WHERE p.id = g.partition_id AND t.next_offset > greatest(p.log_start, (
              SELECT committed FROM logs_commit WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1))))
    FOR NO KEY UPDATE OF g SKIP LOCKED;
    -- A look of its own, after the row is locked: who pauses the group waits for the lock, then sees us.
    IF NOT FOUND OR EXISTS (SELECT FROM logs_consumergroup c WHERE c.id = found_.group_id AND c.paused_at IS NOT NULL) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    UPDATE logs_group_partition g
    SET owner = member, epoch = g.epoch + 1, expires_at = clock_timestamp() + make_interval(secs => seconds)
    WHERE g.id = found_.id;
    RETURN QUERY
    SELECT g.id, g.epoch, g.replay_until, g.attempts, n.committed, p.log_start, t.next_offset, c.auto_offset_reset::text,
           p.id, found_.name::text
    FROM logs_group_partition g
    JOIN logs_consumergroup c ON c.id = g.group_id
    JOIN logs_partition p ON p.id = g.partition_id
    CROSS JOIN LATERAL logs_tail(p) t
    LEFT JOIN LATERAL (
        SELECT committed FROM logs_commit WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1) n ON true
    WHERE g.id = found_.id;
END $$;
