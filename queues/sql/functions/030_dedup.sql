-- Writes deduplication ids down, in one order for everybody; who meets another's waits for its commit.
-- The answer, from a FRESH statement: which message each id stands for. What it stood for before is
-- forgotten after its time. DO UPDATE locks a row even where WHERE refuses it, but only until this commit.
CREATE OR REPLACE FUNCTION queues_remember(queues int[], dedup_ids text[], message_ids bigint[])
RETURNS TABLE (queue_id int, dedup_id text, message_id bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO queues_dedup AS d (queue_id, dedup_id, message_id, expires_at)
    SELECT f.queue, f.dedup, f.message, statement_timestamp() + make_interval(secs => q.dedup_seconds)
    FROM (SELECT DISTINCT ON (u.queue, u.dedup COLLATE "C") u.queue, u.dedup, u.message
          FROM unnest(queues, dedup_ids, message_ids) u(queue, dedup, message) WHERE u.dedup IS NOT NULL
          ORDER BY u.queue, u.dedup COLLATE "C", u.message OFFSET 0) f
    JOIN queues_queue q ON q.id = f.queue
    ON CONFLICT (queue_id, dedup_id) DO UPDATE
        SET message_id = excluded.message_id, expires_at = excluded.expires_at
        WHERE d.expires_at <= statement_timestamp();
    RETURN QUERY
    SELECT d.queue_id, d.dedup_id, d.message_id
    FROM (SELECT DISTINCT u.queue, u.dedup FROM unnest(queues, dedup_ids) u(queue, dedup)) u
    JOIN queues_dedup d ON d.queue_id = u.queue AND d.dedup_id = u.dedup;
END $$;

-- What of these ids has a message already, for a transaction that will only know at its COMMIT: what was
-- committed before, and what it sent itself. Where both are, what is committed counts: one answer for each id.
CREATE OR REPLACE FUNCTION queues_recall(queue_ int, dedup_ids text[])
RETURNS TABLE (dedup_id text, message_id bigint) LANGUAGE sql
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
    SELECT k.dedup_id, coalesce(min(k.message_id) FILTER (WHERE k.is_committed), min(k.message_id)) FROM (
        SELECT m.dedup_id, m.id AS message_id, false AS is_committed FROM queues_message m
        WHERE m.id = ANY (ARRAY(SELECT unnest(i.staged) FROM queues_intent i WHERE i.xid = pg_current_xact_id()))
          AND m.queue_id = queue_ AND m.dedup_id = ANY (dedup_ids)
        UNION ALL
        SELECT d.dedup_id, d.message_id, true FROM queues_dedup d
        WHERE d.queue_id = queue_ AND d.dedup_id = ANY (dedup_ids) AND d.expires_at > statement_timestamp()) k
    GROUP BY 1
$$;
