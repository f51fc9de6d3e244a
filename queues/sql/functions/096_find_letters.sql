-- Looks through the dead letters of a queue, the first to die first, from a mark on and `most_scanned` messages far,
-- without locks: its dead, and what lies ready in it as a dead-letter queue. The filter is that of
-- queues_redrive_step. A row for each that fits, and a last one without an id: how many were looked at, and the
-- position to go on from.
CREATE OR REPLACE FUNCTION queues_find_letters(
    queue_ int, reason_ text, text_ text, died_after timestamptz, died_before timestamptz, after_position bigint,
    most int, most_scanned int
) RETURNS TABLE (id bigint, scanned bigint, pos bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    m record;
    seen bigint := 0;
    fitting int := 0;
    source CURSOR FOR SELECT c.* FROM (
        SELECT m.* FROM queues_message m WHERE m.queue_id = queue_ AND m.state = 4 AND m.position > after_position
        UNION ALL
        SELECT m.* FROM queues_message m WHERE m.queue_id = queue_ AND m.state = 0 AND m.source_id IS NOT NULL
            AND m.position > after_position) c ORDER BY c.position;
BEGIN
    OPEN source;
    LOOP
        FETCH source INTO m;
        IF NOT FOUND THEN
            RETURN QUERY SELECT NULL::bigint, seen, NULL::bigint;  -- no mark: that was all
            RETURN;
        END IF;
        seen := seen + 1;
        IF (reason_ IS NULL OR m.reason = reason_) AND (died_after IS NULL OR m.died_at >= died_after)
            AND (died_before IS NULL OR m.died_at < died_before)
            AND (text_ IS NULL OR position(text_ IN coalesce(m.detail, '')) > 0
                 OR position(text_ IN coalesce(m.headers, '')) > 0
                 OR position(convert_to(text_, 'UTF8') IN m.payload) > 0) THEN
            fitting := fitting + 1;
            RETURN QUERY SELECT m.id, seen, m.position;
        END IF;
        IF fitting >= most OR seen >= most_scanned THEN
            RETURN QUERY SELECT NULL::bigint, seen, m.position;
            RETURN;
        END IF;
    END LOOP;
END $$;
