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

-- A topic goes on in a segment of its own, or in the next one. NULL: none is free, or it has moved already.
CREATE FUNCTION logs_roll(topic_ int, from_segment smallint) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
    p logs_partition;
    t record;
    s smallint;
BEGIN
    PERFORM FROM logs_partition WHERE topic_id = topic_ ORDER BY id FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM logs_partition WHERE topic_id = topic_ AND segment = from_segment) THEN
        RETURN NULL;
    END IF;
    UPDATE logs_segment SET topic_id = topic_, opened_at = clock_timestamp() WHERE id = (
        SELECT id FROM logs_segment WHERE topic_id IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id INTO s;
    IF s IS NULL THEN
        RETURN NULL;
    END IF;
    FOR p IN SELECT * FROM logs_partition WHERE topic_id = topic_ ORDER BY id LOOP
        SELECT * INTO t FROM logs_tail(p);
        UPDATE logs_partition SET segment = s, segment_start = t.next_offset WHERE id = p.id;
        INSERT INTO logs_extent (partition_id, first_offset, segment) VALUES (p.id, t.next_offset, s)
        ON CONFLICT (partition_id, first_offset) DO UPDATE SET segment = excluded.segment;  -- it held no record
    END LOOP;
    RETURN s;
END $$;

-- A segment in which nothing can be read any more gives its files back. NOWAIT: nobody ever waits for this;
-- it fails with 55P03 while somebody still reads, and is tried again. Looked at twice, for between the look
-- and the lock another may have freed it and a topic begun to fill it.
CREATE FUNCTION logs_free_segment(s smallint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    FOR look IN 1..2 LOOP
        IF NOT EXISTS (SELECT FROM logs_segment WHERE id = s AND topic_id IS NOT NULL) OR EXISTS (
            SELECT FROM logs_extent e JOIN logs_partition p ON p.id = e.partition_id
            WHERE e.segment = s AND (p.segment = s OR p.log_start < (
                SELECT coalesce(min(first_offset), 9223372036854775807) FROM logs_extent n
                WHERE n.partition_id = p.id AND n.first_offset > e.first_offset))) THEN
            RETURN false;
        END IF;
        IF look = 1 THEN
            EXECUTE format('LOCK TABLE ONLY logs_record_s%s IN ACCESS EXCLUSIVE MODE NOWAIT', s);
        END IF;
    END LOOP;
    EXECUTE format('TRUNCATE ONLY logs_record_s%s', s);
    DELETE FROM logs_extent WHERE segment = s;
    UPDATE logs_segment SET topic_id = NULL, opened_at = NULL WHERE id = s;
    RETURN true;
END $$;
