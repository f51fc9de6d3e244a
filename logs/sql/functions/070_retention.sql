-- Moves the log start of a partition up to `target`, never past its end; answers where it is then.
-- The first half of every deletion: from its commit on nobody reads below. Rows of the shared segment are
-- noted for deletion in batches; other segments are emptied whole.
CREATE FUNCTION logs_move_log_start(partition_ int, target bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    p logs_partition;
    t record;
    r record;
BEGIN
    SELECT * INTO p FROM logs_partition WHERE id = partition_ FOR NO KEY UPDATE;
    SELECT * INTO t FROM logs_tail(p);
    target := least(target, t.next_offset);
    IF target IS NULL OR target <= p.log_start THEN
        RETURN p.log_start;
    END IF;
    SELECT * INTO r FROM logs_record_at(partition_, target);
    PERFORM logs_note_expired(p, target);
    UPDATE logs_partition
    SET log_start = target, log_start_bytes = coalesce(r.found_bytes - r.found_size, t.last_bytes)
    WHERE id = partition_;
    RETURN target;
END $$;

-- What of a partition stands in the shared segment below `target` may be deleted.
CREATE FUNCTION logs_note_expired(p logs_partition, target bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO logs_expired (partition_id, first_offset, end_offset)
    SELECT p.id, p.log_start, least(target, (SELECT min(first_offset) FROM logs_extent
                                             WHERE partition_id = p.id AND first_offset > p.log_start))
    WHERE logs_segment_at(p.id, p.log_start) = 0
$$;
