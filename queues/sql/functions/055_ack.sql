-- What was acknowledged comes as two arrays, null where that is nothing.
-- Keys that go on: at once where this is a transaction of its own, else at COMMIT, with all others of it.
CREATE OR REPLACE FUNCTION queues_ack(token uuid, ids bigint[], queue_ text, own boolean)
RETURNS TABLE (acked bigint[], group_keys text[]) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    l record;
    done bigint[];
    keys text[];
    headers_ text[];
    receives_ int[];
BEGIN
    SELECT l.message_ids, l.holder, q.id AS queue_id, q.is_ordered, q.outcome_seconds INTO l
    FROM queues_lease l JOIN queues_queue q ON q.id = l.queue_id WHERE l.id = token AND q.name = queue_
      AND queues_share(own, q.id) FOR UPDATE OF l;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM queues_message m WHERE m.id = ANY (ids) AND m.lease_id = token RETURNING m.id, m.group_key, m.receives,
            CASE WHEN l.outcome_seconds > 0 THEN m.headers END AS headers
    )
    SELECT array_agg(g.id), array_agg(g.group_key), array_agg(g.headers), array_agg(g.receives)
    INTO done, keys, headers_, receives_ FROM gone g;
    IF l.outcome_seconds > 0 AND done IS NOT NULL THEN
        PERFORM queues_record(array_fill(l.queue_id, ARRAY[cardinality(done)]), done, headers_, receives_, 'acked',
                              l.holder, NULL);
    END IF;
    IF cardinality(done) = cardinality(l.message_ids) THEN
        DELETE FROM queues_lease e WHERE e.id = token;
    ELSE
        DELETE FROM queues_lease e WHERE e.id = token AND NOT EXISTS (
            SELECT FROM queues_message m WHERE m.id = ANY (l.message_ids) AND m.lease_id = token);
    END IF;
    IF l.is_ordered THEN
        PERFORM queues_end_heads(l.queue_id, keys, own);
    END IF;
    RETURN QUERY SELECT done, keys;
END $$;
