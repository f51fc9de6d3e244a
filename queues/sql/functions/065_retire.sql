-- Takes away what nobody holds: deletes it (why null), or lets it die of `why`. Keys are locked BEFORE their
-- messages, as whoever raises a head does; so with ordered messages this is a transaction of its own.
CREATE OR REPLACE FUNCTION queues_retire(ids bigint[], states smallint[], why text, by_ text)
RETURNS TABLE (queue text, id bigint, group_key text, state smallint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    locked bigint[];
    told record;
BEGIN
    PERFORM queues_lock_keys(array_agg(m.queue_id), array_agg(m.group_key))
    FROM queues_message m WHERE m.id = ANY (ids) AND m.ordered;
    locked := ARRAY(SELECT m.id FROM queues_message m WHERE m.id = ANY (ids) AND m.state = ANY (states)
                    ORDER BY m.id FOR UPDATE SKIP LOCKED);
    IF why IS NOT NULL THEN
        RETURN QUERY SELECT * FROM queues_return(
            locked, NULL, array_fill(NULL::float8, ARRAY[cardinality(locked)]), NULL, why, 0);
        RETURN;
    END IF;
    SELECT array_agg(m.queue_id) AS queues, array_agg(m.id) AS ids, array_agg(m.headers) AS headers,
           array_agg(m.receives::int) AS receives INTO told
    FROM queues_message m JOIN queues_queue q ON q.id = m.queue_id
    WHERE m.id = ANY (locked) AND m.state <> 4 AND q.outcome_seconds > 0;
    PERFORM queues_record(told.queues, told.ids, told.headers, told.receives, 'cancelled', by_, NULL);
    RETURN QUERY
    WITH gone AS (
        DELETE FROM queues_message m WHERE m.id = ANY (locked)
        RETURNING m.id, m.queue_id, m.group_key, m.state, m.ordered
    ), intent AS (
        INSERT INTO queues_intent (queue_id, keys)
        SELECT g.queue_id, array_agg(DISTINCT g.group_key) FROM gone g WHERE g.ordered AND g.state <> 4 GROUP BY 1
    )
    SELECT q.name::text, g.id, g.group_key, g.state FROM gone g JOIN queues_queue q ON q.id = g.queue_id;
END $$;

-- The next messages of a queue in some states, in the order of their indexes.
CREATE OR REPLACE FUNCTION queues_choose(queue_ int, states smallint[], most int) RETURNS bigint[] LANGUAGE sql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT ARRAY(SELECT c.id FROM (
        (SELECT m.id FROM queues_message m WHERE 0 = ANY (states) AND m.queue_id = queue_ AND m.state = 0
         ORDER BY m.priority DESC, m.position LIMIT most)
        UNION ALL
        (SELECT m.id FROM queues_message m WHERE 2 = ANY (states) AND m.queue_id = queue_ AND m.state = 2
         ORDER BY m.due_at LIMIT most)
        UNION ALL
        (SELECT m.id FROM queues_message m WHERE 3 = ANY (states) AND m.queue_id = queue_ AND m.state = 3
         ORDER BY m.group_key, m.position LIMIT most)
        UNION ALL
        (SELECT m.id FROM queues_message m WHERE 4 = ANY (states) AND m.queue_id = queue_ AND m.state = 4
         ORDER BY m.position LIMIT most)) c LIMIT most)
$$;
