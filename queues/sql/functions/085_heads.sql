-- One step of the index for each priority there is. Before them, without a priority, the last position given out, or
-- null where the queue is not of the revision asked for.
CREATE OR REPLACE FUNCTION queues_heads(queue_ int, revision_ uuid) RETURNS TABLE (priority smallint, pos bigint) LANGUAGE sql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    WITH RECURSIVE h AS (
        (SELECT m.priority, m.position FROM queues_message m WHERE m.queue_id = queue_ AND m.state = 0
         ORDER BY m.priority DESC, m.position LIMIT 1)
        UNION ALL
        SELECT n.* FROM h CROSS JOIN LATERAL (
            SELECT m.priority, m.position FROM queues_message m
            WHERE m.queue_id = queue_ AND m.state = 0 AND m.priority < h.priority
            ORDER BY m.priority DESC, m.position LIMIT 1) n
    )
    SELECT NULL::smallint, CASE WHEN revision_ IS NULL OR EXISTS (
        SELECT FROM queues_queue q WHERE q.id = queue_ AND q.revision = revision_) THEN s.last_value END
    FROM queues_message_id_seq s
    UNION ALL
    SELECT h.priority, h.position FROM h
$$;

-- Whether queues have something ready in ranges of priority and position: for all who wait in a process.
CREATE OR REPLACE FUNCTION queues_arrived(queues int[], lows smallint[], highs smallint[], floors bigint[])
RETURNS SETOF int LANGUAGE sql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT DISTINCT r.queue FROM unnest(queues, lows, highs, floors) r(queue, low, high, floor)
    WHERE (SELECT true FROM queues_message m
           WHERE m.queue_id = r.queue AND m.state = 0 AND m.priority BETWEEN r.low AND r.high AND m.position >= r.floor
             AND (m.expires_at IS NULL OR m.expires_at > clock_timestamp())
           ORDER BY m.priority DESC, m.position LIMIT 1)
      AND NOT EXISTS (SELECT FROM queues_queue q WHERE q.id = r.queue AND q.paused_at IS NOT NULL)
    UNION
    SELECT r.queue FROM unnest(queues) r(queue) WHERE NOT EXISTS (SELECT FROM queues_queue q WHERE q.id = r.queue)
$$;
