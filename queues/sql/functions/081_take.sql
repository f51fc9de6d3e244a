-- The ready messages for a transaction that handles and acknowledges them: the scan of queues_receive, but nothing
-- is written; the row locks are the right to them, and fall with the transaction. A function only for its SETs.
CREATE OR REPLACE FUNCTION queues_take(
    queue_ int, revision_ uuid, lows smallint[], highs smallint[], floors bigint[], most int
) RETURNS TABLE (
    pos bigint, id bigint, payload bytea, content_type text, headers text,
    group_key text, priority smallint, receives smallint, enqueued_at timestamptz, sender text
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    PERFORM queues_share(false, queue_);
    RETURN QUERY
    SELECT m.* FROM unnest(lows, highs, floors) f(low, high, floor) CROSS JOIN LATERAL (
        SELECT m.position, m.id, m.payload, m.content_type, m.headers, m.group_key, m.priority,
               (m.receives + 1)::smallint, m.enqueued_at, m.sender
        FROM queues_message m
        WHERE m.queue_id = queue_ AND m.state = 0
          AND m.priority BETWEEN f.low AND f.high AND m.position >= f.floor
          AND (m.expires_at IS NULL OR m.expires_at > clock_timestamp())
        ORDER BY m.priority DESC, m.position LIMIT most FOR UPDATE SKIP LOCKED) m
    WHERE EXISTS (SELECT FROM queues_queue q WHERE q.id = queue_ AND q.revision = revision_)
    LIMIT most;
END $$;
