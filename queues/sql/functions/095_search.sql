-- A payload as JSON; NULL where it is none.
CREATE OR REPLACE FUNCTION queues_json(payload bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN convert_from(payload, 'UTF8')::jsonb;
EXCEPTION WHEN data_exception OR invalid_text_representation OR program_limit_exceeded THEN
    RETURN NULL;
END $$;

-- Looks through one state of a queue in its own order, from a mark on and `most_scanned` messages far, without locks.
-- A row for each that fits, and a last one without an id: how many were looked at, and the mark to go on from.
-- The mark is (priority, position) for ready, and for the others position or id; leased ones come by lease.
CREATE OR REPLACE FUNCTION queues_search(
    queue_ int, state_ int, key_ text, text_ text, path_ jsonpath, after_priority int, after_position bigint, most int,
    most_scanned int
) RETURNS TABLE (id bigint, scanned bigint, priority smallint, pos bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    m record;
    seen bigint := 0;
    fitting int := 0;
    source refcursor;
BEGIN
    IF state_ IN (2, 3) AND after_position >= 0 AND NOT EXISTS (
        SELECT FROM queues_message m WHERE m.id = after_position AND m.queue_id = queue_ AND m.state = state_) THEN
        RAISE EXCEPTION 'message % has moved', after_position USING ERRCODE = 'MQ003';
    END IF;
    IF state_ = 0 THEN
        OPEN source FOR SELECT m.* FROM queues_message m WHERE m.queue_id = queue_ AND m.state = 0
            AND (m.priority < after_priority OR m.priority = after_priority AND m.position > after_position)
            AND m.priority <= after_priority ORDER BY m.priority DESC, m.position;
    ELSIF state_ = 1 THEN
        OPEN source FOR SELECT m.* FROM queues_message m WHERE m.lease_id IS NOT NULL AND m.id > after_position
            AND m.id = ANY (ARRAY(SELECT unnest(l.message_ids) FROM queues_lease l WHERE l.queue_id = queue_))
            AND m.queue_id = queue_ AND m.state = 1 ORDER BY m.id;
    ELSIF state_ = 2 THEN
        OPEN source FOR SELECT m.* FROM queues_message m WHERE m.queue_id = queue_ AND m.state = 2
            AND (after_position < 0 OR (m.due_at, m.id) > (
                SELECT a.due_at, a.id FROM queues_message a WHERE a.id = after_position)) ORDER BY m.due_at, m.id;
    ELSIF state_ = 3 THEN
        OPEN source FOR SELECT m.* FROM queues_message m WHERE m.queue_id = queue_ AND m.state = 3
            AND (key_ IS NULL OR m.group_key = key_)
            AND (after_position < 0 OR (m.group_key, m.position) > (
                SELECT a.group_key, a.position FROM queues_message a WHERE a.id = after_position))
            ORDER BY m.group_key, m.position;
    ELSE
        OPEN source FOR SELECT m.* FROM queues_message m WHERE m.queue_id = queue_ AND m.state = 4
            AND m.position > after_position ORDER BY m.position;
    END IF;
    LOOP
        FETCH source INTO m;
        IF NOT FOUND THEN
            RETURN QUERY SELECT NULL::bigint, seen, NULL::smallint, NULL::bigint;  -- no mark: that was all
            RETURN;
        END IF;
        seen := seen + 1;
        IF (key_ IS NULL OR m.group_key = key_) AND (text_ IS NULL
            OR position(convert_to(text_, 'UTF8') IN m.payload) > 0 OR position(text_ IN coalesce(m.headers, '')) > 0
            OR position(text_ IN coalesce(m.detail, '')) > 0)
            AND (path_ IS NULL OR coalesce(queues_json(m.payload) @? path_, false)) THEN
            fitting := fitting + 1;
            RETURN QUERY SELECT m.id, seen, m.priority, m.position;
        END IF;
        IF fitting >= most OR seen >= most_scanned THEN
            RETURN QUERY SELECT NULL::bigint, seen, m.priority,
                                CASE WHEN state_ IN (1, 2, 3) THEN m.id ELSE m.position END;
            RETURN;
        END IF;
    END LOOP;
END $$;
