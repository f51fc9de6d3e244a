-- Takes up to `most` ready messages under one new lease, the highest priority first, then by position; they come
-- in no order. The ranges say where a scan begins (queues/floors.py); they are pulled lazily, so no more rows are
-- locked than asked for. A function because SET pins the plan without touching the caller's session: with stale
-- statistics the planner would scan and sort the table; and two statements, so that no payload is copied from one
-- node to the next. The update goes by ctid: the rows were locked just now. From `alone_from` receives on a message
-- is taken alone: if it kills its worker once more, it dies without its neighbours. With `most_bytes` payloads and
-- headers of more than one message come to no more than that. No row = nothing there, or not
-- the queue remembered.
CREATE OR REPLACE FUNCTION queues_receive(
    queue_ int, revision_ uuid, lows smallint[], highs smallint[], floors bigint[], most int, most_bytes int,
    alone_from int, holder_ text, seconds float8
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
    places tid[];
    ids bigint[];
    counts smallint[];
    sizes int[];
BEGIN
    SELECT array_agg(m.place), array_agg(m.id), array_agg(m.receives), array_agg(m.size) INTO places, ids, counts, sizes FROM (
        SELECT m.* FROM unnest(lows, highs, floors) f(low, high, floor) CROSS JOIN LATERAL (
            SELECT m.ctid AS place, m.id, m.receives,
                   CASE WHEN most_bytes IS NOT NULL THEN octet_length(m.payload) + coalesce(octet_length(m.headers), 0) END AS size
            FROM queues_message m
            WHERE m.queue_id = queue_ AND m.state = 0
              AND m.priority BETWEEN f.low AND f.high AND m.position >= f.floor
              AND (m.expires_at IS NULL OR m.expires_at > clock_timestamp())
            ORDER BY m.priority DESC, m.position LIMIT most FOR UPDATE SKIP LOCKED) m
        WHERE EXISTS (SELECT FROM queues_queue q WHERE q.id = queue_ AND q.revision = revision_)
        LIMIT most) m;
    IF places IS NULL THEN
        RETURN;
    END IF;
    IF alone_from <= ANY (counts) THEN
        most := greatest(1, (SELECT min(u.nth) - 1 FROM unnest(counts) WITH ORDINALITY u(received, nth)
                             WHERE u.received >= alone_from));
    END IF;
    IF most_bytes IS NOT NULL THEN
        most := least(most, greatest(1, (SELECT count(*) FROM (
            SELECT sum(u.size) OVER (ORDER BY u.nth) AS total FROM unnest(sizes) WITH ORDINALITY u(size, nth)) t
            WHERE t.total <= most_bytes)));
    END IF;
    IF most < cardinality(ids) THEN
        places := places[:most];
        ids := ids[:most];
    END IF;
    INSERT INTO queues_lease (id, queue_id, holder, expires_at, message_ids)
    VALUES (token_, queue_, holder_, until_, ids);
    RETURN QUERY
    UPDATE queues_message m SET state = 1, receives = m.receives + 1, lease_id = token_
    WHERE m.ctid = ANY (places)
    RETURNING CASE WHEN m.id = ids[1] THEN token_ END, CASE WHEN m.id = ids[1] THEN until_ END,  -- once: to read
              m.position, m.id, m.payload, m.content_type, m.headers, m.group_key,               -- them takes time
              m.priority, m.receives, m.enqueued_at, m.sender;
END $$;
