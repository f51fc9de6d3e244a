-- A partition as of now, whatever snapshot the statement has.
CREATE FUNCTION logs_partition_now(partition_ int) RETURNS SETOF logs_partition LANGUAGE sql VOLATILE AS $$
    SELECT * FROM logs_partition WHERE id = partition_
$$;

-- What an append must know of a partition: the next offset, and the running maximum and total so far.
-- Right after a roll the newest record stands in the segment before; if none is left, the log start says.
CREATE FUNCTION logs_tail(
    p logs_partition, OUT next_offset bigint, OUT last_timestamp timestamptz, OUT last_bytes bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    last_offset bigint;
    now_ logs_partition;
BEGIN
    SELECT * INTO last_offset, last_timestamp, last_bytes FROM logs_last_record(p.segment, p.id);
    IF last_offset IS NULL AND p.segment > 0 THEN  -- emptied since this statement's snapshot? TRUNCATE is not MVCC
        SELECT * INTO now_ FROM logs_partition_now(p.id);
        IF FOUND THEN
            p := now_;
        END IF;
    END IF;
    IF last_offset IS NULL AND p.segment_start > p.log_start THEN
        SELECT * INTO last_offset, last_timestamp, last_bytes
        FROM logs_last_record(logs_segment_at(p.id, p.segment_start - 1), p.id);
    END IF;
    next_offset := greatest(last_offset + 1, p.segment_start, p.log_start);
    last_bytes := greatest(last_bytes, p.log_start_bytes);
END $$;

-- Where an offset of a partition stands. No extent row at or before it: in the shared segment.
CREATE FUNCTION logs_segment_at(partition_ int, offset_ bigint) RETURNS smallint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT segment FROM logs_extent WHERE partition_id = partition_ AND first_offset <= offset_
                     ORDER BY first_offset DESC LIMIT 1), 0::smallint)
$$;

-- The log end, for the ORM.
CREATE FUNCTION logs_log_end(partition_ int) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT t.next_offset FROM logs_partition p, logs_tail(p) t WHERE p.id = partition_
$$;
