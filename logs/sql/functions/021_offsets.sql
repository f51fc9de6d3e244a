-- The first record at or after an offset, in whichever segment. NULL past the end.
CREATE FUNCTION logs_record_at(
    partition_ int, from_ bigint, OUT found_offset bigint, OUT found_timestamp timestamptz,
    OUT found_timestamp_max timestamptz, OUT found_bytes bigint, OUT found_size bigint
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    s smallint;
BEGIN
    SELECT * INTO found_offset, found_timestamp, found_timestamp_max, found_bytes, found_size
    FROM logs_record_from(logs_segment_at(partition_, from_), partition_, from_);
    IF found_offset IS NULL THEN
        FOR s IN SELECT segment FROM logs_extent WHERE partition_id = partition_ AND first_offset > from_
                 ORDER BY first_offset LOOP
            SELECT * INTO found_offset, found_timestamp, found_timestamp_max, found_bytes, found_size
            FROM logs_record_from(s, partition_, from_);
            EXIT WHEN found_offset IS NOT NULL;
        END LOOP;
    END IF;
END $$;

-- The first offset whose running maximum reaches a time or whose running total passes a size; the log end
-- if none does. About 24 steps in ten million records.
CREATE FUNCTION logs_first_offset(partition_ int, time_ timestamptz, bytes_ bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint;
    high bigint;
    middle bigint;
    r record;
BEGIN
    SELECT p.log_start, t.next_offset INTO low, high FROM logs_partition p, logs_tail(p) t WHERE p.id = partition_;
    WHILE low < high LOOP
        middle := (low + high) / 2;
        SELECT * INTO r FROM logs_record_at(partition_, middle);
        IF r.found_timestamp_max < time_ OR r.found_bytes <= bytes_ THEN
            low := r.found_offset + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN low;
END $$;
