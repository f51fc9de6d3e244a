-- Whether a boundary may send so much now, and if so, notes it. No row: it has no quota. What it has standing is counted
-- at most once a second, and not for more than a twentieth of the time; in between what it sends is added, so that
-- what was acknowledged since counts a little longer. Run beside the sender's transaction: the row is free at once.
CREATE OR REPLACE FUNCTION queues_spend(sender_ text, messages_ bigint, bytes_ bigint)
RETURNS TABLE (granted boolean, max_messages bigint, max_bytes bigint, max_per_second float8, used_messages bigint,
               used_bytes bigint, tokens float8) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    q queues_quota;
    at timestamptz;
    ok boolean;
BEGIN
    SELECT quota.* INTO q FROM queues_quota quota JOIN mqsite_boundary b ON b.id = quota.boundary_id
    WHERE b.name = sender_ FOR UPDATE OF quota;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    at := clock_timestamp();
    IF q.counted_at IS NULL OR at > q.counted_at + make_interval(secs => greatest(1, 20 * q.counting_seconds)) THEN
        SELECT count(*), coalesce(sum(octet_length(m.payload)), 0) INTO q.used_messages, q.used_bytes
        FROM queues_message m WHERE m.sender = sender_ AND m.state <> 4;
        q.counted_at := at;
        q.counting_seconds := extract(epoch FROM clock_timestamp() - at);
    END IF;
    -- A bucket of one second's worth, full at first; NULL: no rate.
    q.tokens := CASE WHEN q.max_per_second IS NULL THEN NULL WHEN q.tokens_at IS NULL THEN greatest(1, q.max_per_second)
        ELSE least(greatest(1, q.max_per_second), q.tokens
                   + q.max_per_second * greatest(0, extract(epoch FROM at - q.tokens_at))) END;
    q.tokens_at := at;
    ok := coalesce(q.used_messages + messages_ <= q.max_messages, true)
        AND coalesce(q.used_bytes + bytes_ <= q.max_bytes, true) AND coalesce(q.tokens >= messages_, true);
    UPDATE queues_quota u SET
        used_messages = q.used_messages + CASE WHEN ok THEN messages_ ELSE 0 END,
        used_bytes = q.used_bytes + CASE WHEN ok THEN bytes_ ELSE 0 END, counted_at = q.counted_at,
        counting_seconds = q.counting_seconds,
        tokens_at = CASE WHEN q.tokens IS NOT NULL THEN at END,
        tokens = coalesce(q.tokens - CASE WHEN ok THEN messages_ ELSE 0 END, 0)
    WHERE u.id = q.id;
    RETURN QUERY SELECT ok, q.max_messages, q.max_bytes, q.max_per_second, q.used_messages, q.used_bytes, q.tokens;
END $$;
