-- Dead letters that are locked start over in their target, or where each of them died. Targets are guarded as by a
-- send (queues_enter), in one order.
CREATE OR REPLACE FUNCTION queues_revive(letters bigint[], target int)
RETURNS TABLE (queue text, id bigint, group_key text, state smallint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock_shared(x'6d710001'::int, t.id) FROM (
        SELECT DISTINCT coalesce(target, m.source_id, m.queue_id) AS id FROM queues_message m
        WHERE m.id = ANY (letters) ORDER BY 1 OFFSET 0) t;
    RETURN QUERY
    WITH placed AS MATERIALIZED (
        SELECT p.*, nextval('queues_message_id_seq') AS fresh FROM (
            SELECT m.id, q.id AS target_id, q.name, q.is_ordered,
                   q.is_ordered AND q.id = coalesce(m.source_id, m.queue_id) AS goes_home
            FROM queues_message m JOIN queues_queue q ON q.id = coalesce(target, m.source_id, m.queue_id)
            WHERE m.id = ANY (letters) AND NOT (q.is_ordered AND m.group_key IS NULL) ORDER BY m.position OFFSET 0) p
    ), moved AS (
        UPDATE queues_message m SET
            queue_id = p.target_id, ordered = p.is_ordered, state = CASE WHEN p.is_ordered THEN 3 ELSE 0 END,
            position = CASE WHEN p.goes_home THEN m.id ELSE p.fresh END,
            priority = CASE WHEN p.is_ordered THEN 0 ELSE m.priority END, receives = 0,
            due_at = statement_timestamp(), expires_at = NULL, reason = NULL, detail = NULL, died_at = NULL,
            source_id = NULL, died_receives = NULL
        FROM placed p WHERE m.id = p.id AND m.id = ANY (letters)
        RETURNING p.name, m.id, m.queue_id, m.group_key, m.state, m.ordered
    ), intent AS (
        INSERT INTO queues_intent (queue_id, keys)
        SELECT v.queue_id, array_agg(v.group_key) FROM moved v WHERE v.ordered GROUP BY 1
    )
    SELECT v.name::text, v.id, v.group_key, v.state FROM moved v;
END $$;
