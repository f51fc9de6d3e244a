-- One bounded batch of expired records of the shared segment, from where the last one ended on, so that it never
-- walks over dead entries. Answers how many offsets are done. One range at a time: joined with the ranges, the
-- planner reads the whole segment.
CREATE FUNCTION logs_delete_expired(limit_ bigint) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    e logs_expired;
    until bigint;
    done bigint := 0;
BEGIN
    FOR e IN SELECT * FROM logs_expired ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED LOOP
        until := least(e.end_offset, e.first_offset + limit_ - done);
        DELETE FROM logs_record_s0
        WHERE partition_id = e.partition_id AND "offset" >= e.first_offset AND "offset" < until;
        IF until = e.end_offset THEN
            DELETE FROM logs_expired WHERE id = e.id;
        ELSE
            UPDATE logs_expired SET first_offset = until WHERE id = e.id;
        END IF;
        done := done + until - e.first_offset;
        EXIT WHEN done >= limit_;
    END LOOP;
    RETURN done;
END $$;
