-- The ready messages for a transaction that handles and acknowledges them: the scan of queues_receive, but nothing
-- is written; the row locks are the right to them, and fall with the transaction. Who was received before is
-- taken alone: it may be what killed its worker.
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
    IF NOT EXISTS (SELECT FROM queues_queue q WHERE q.id = queue_ AND q.revision = revision_) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT p.position, p.id, p.payload, p.content_type, p.headers, p.group_key, p.priority,
           (p.receives + 1)::smallint, p.enqueued_at, p.sender
    FROM (SELECT r.*, row_number() OVER so_far AS nth, bool_or(r.receives > 0) OVER so_far AS alone
          FROM (SELECT m.* FROM unnest(lows, highs, floors) f(low, high, floor) CROSS JOIN LATERAL (
                    SELECT m.id, m.position, m.payload, m.content_type, m.headers, m.group_key, m.priority, m.receives,
                           m.enqueued_at, m.sender
                    FROM queues_message m
                    WHERE m.queue_id = queue_ AND m.state = 0
                      AND m.priority BETWEEN f.low AND f.high AND m.position >= f.floor
                      AND (m.expires_at IS NULL OR m.expires_at > clock_timestamp())
                    ORDER BY m.priority DESC, m.position LIMIT most FOR UPDATE SKIP LOCKED) m
                LIMIT most) r
          WINDOW so_far AS (ROWS UNBOUNDED PRECEDING)) p
    WHERE p.nth = 1 OR NOT p.alone;
END $$;
