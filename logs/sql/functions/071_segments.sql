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
-- Not before its topic has been elsewhere for `quiet_seconds`: TRUNCATE is not MVCC, and a dump whose snapshot is
-- older than the roll, but whose lock is newer than the TRUNCATE, would lose count of the offsets.
CREATE FUNCTION logs_free_segment(s smallint, quiet_seconds double precision) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    FOR look IN 1..2 LOOP
        IF NOT EXISTS (SELECT FROM logs_segment WHERE id = s AND topic_id IS NOT NULL) OR EXISTS (
            SELECT FROM logs_segment o JOIN logs_segment n USING (topic_id)
            WHERE o.id = s AND n.opened_at > o.opened_at
            HAVING min(n.opened_at) > clock_timestamp() - make_interval(secs => quiet_seconds)) OR EXISTS (
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
