-- Takes up to `most` ready messages under one new lease, the highest priority first, then by position.
-- The ranges say where a scan begins (queues/floors.py); they are pulled lazily, so no more rows are locked than
-- asked for. A function only because SET pins the plan without touching the caller's session: with stale
-- statistics the planner would scan and sort the table. The update goes by ctid: the rows were locked
-- just now in this statement. From `alone_from` receives on a message is taken alone: if it kills its
-- worker once more, it dies without its neighbours. No row = nothing there, or not the queue remembered.
CREATE OR REPLACE FUNCTION queues_receive(
    queue_ int, revision_ uuid, lows smallint[], highs smallint[], floors bigint[], most int, alone_from int,
    holder_ text, seconds float8
) RETURNS TABLE (
    token uuid, expires_at timestamptz, pos bigint, id bigint, payload bytea, content_type text, headers text,
    group_key text, priority smallint, receives smallint, enqueued_at timestamptz, sender text
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    token_ uuid := uuidv7();
    until_ timestamptz := clock_timestamp() + make_interval(secs => seconds);
BEGIN
    IF NOT EXISTS (SELECT FROM queues_queue q WHERE q.id = queue_ AND q.revision = revision_) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH picked AS MATERIALIZED (
        SELECT r.place, row_number() OVER so_far AS nth, bool_or(r.receives >= alone_from) OVER so_far AS alone
        FROM (SELECT m.* FROM unnest(lows, highs, floors) f(low, high, floor) CROSS JOIN LATERAL (
                  SELECT m.ctid AS place, m.receives FROM queues_message m
                  WHERE m.queue_id = queue_ AND m.state = 0
                    AND m.priority BETWEEN f.low AND f.high AND m.position >= f.floor
                    AND (m.expires_at IS NULL OR m.expires_at > clock_timestamp())
                  ORDER BY m.priority DESC, m.position LIMIT most FOR UPDATE SKIP LOCKED) m
              LIMIT most) r
        WINDOW so_far AS (ROWS UNBOUNDED PRECEDING)
    ), taken AS (
        UPDATE queues_message m SET state = 1, receives = m.receives + 1, lease_id = token_
        WHERE m.ctid = ANY (ARRAY(SELECT p.place FROM picked p WHERE p.nth = 1 OR NOT p.alone))
        RETURNING m.*
    ), lease AS (
        INSERT INTO queues_lease (id, queue_id, holder, expires_at, message_ids)
        SELECT token_, queue_, holder_, until_, array_agg(t.id) FROM taken t HAVING count(*) > 0
    )
    SELECT CASE WHEN t.nth = 1 THEN token_ END, CASE WHEN t.nth = 1 THEN until_ END,  -- once: to read them takes time
           t.position, t.id, t.payload, t.content_type, t.headers, t.group_key, t.priority, t.receives,
           t.enqueued_at, t.sender
    FROM (SELECT t.*, row_number() OVER (ORDER BY t.priority DESC, t.position) AS nth FROM taken t) t
    ORDER BY t.nth;
END $$;
