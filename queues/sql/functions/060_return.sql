-- Messages that a failure gives back, or that die: after `delay` seconds each (NaN: the queue's back-off, null:
-- dead at once), at the tail, or dead after too many receives. With a token those its lease still covers; its row
-- is locked. Without one, those the caller has locked. `charge` counts a receive that no lease has counted;
-- `most` stands in place of the queue's max_receives.
-- The dead stay, or go to the dead-letter queue to be received there. An ordered head stays its key's head
-- until it dies; then the key goes on at COMMIT.
CREATE OR REPLACE FUNCTION queues_return(
    ids bigint[], token uuid, delays float8[], errors text[], reason_ text, charge int, most int DEFAULT NULL
) RETURNS TABLE (queue text, id bigint, group_key text, state smallint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH judged AS MATERIALIZED (
        SELECT m.id, x.error, m.receives + charge AS receives, q.id AS source_id, q.name, m.ordered, m.group_key, q.outcome_seconds > 0 AS told,
               q.dead_letter_queue_id AS letters_id, x.delay IS NULL AS at_once,
               x.delay IS NULL OR m.receives + charge >= coalesce(most, q.max_receives) AS dead,
               CASE WHEN x.delay <> 'NaN' THEN x.delay
                    ELSE least(q.backoff_max_seconds, q.backoff_seconds * 2.0 ^ least(m.receives + charge - 1, 60))
                         * (1 - q.backoff_jitter * random()) END AS seconds
        FROM unnest(ids, delays, errors) x(id, delay, error)
        JOIN queues_message m ON m.id = x.id JOIN queues_queue q ON q.id = m.queue_id
        WHERE m.id = ANY (ids) AND CASE WHEN token IS NULL THEN m.state IN (0, 2, 3) ELSE m.lease_id = token END
    ), moved AS (
        UPDATE queues_message m SET
            state = CASE WHEN j.dead THEN CASE WHEN j.letters_id IS NULL THEN 4 ELSE 0 END
                         WHEN j.seconds > 0 THEN 2 ELSE 0 END,
            queue_id = CASE WHEN j.dead THEN coalesce(j.letters_id, j.source_id) ELSE j.source_id END,
            source_id = CASE WHEN j.dead AND j.letters_id IS NOT NULL THEN j.source_id ELSE m.source_id END,
            receives = CASE WHEN j.dead AND j.letters_id IS NOT NULL THEN 0 ELSE j.receives END,
            died_receives = CASE WHEN j.dead THEN j.receives ELSE m.died_receives END,
            died_at = CASE WHEN j.dead THEN statement_timestamp() ELSE m.died_at END,
            ordered = m.ordered AND NOT (j.dead AND j.letters_id IS NOT NULL),
            expires_at = CASE WHEN j.dead THEN NULL ELSE m.expires_at END,
            due_at = statement_timestamp() + make_interval(secs => CASE WHEN j.dead THEN 0 ELSE j.seconds END),
            reason = CASE WHEN j.at_once OR NOT j.dead OR reason_ <> 'retry' THEN reason_ ELSE 'max_receives' END,
            detail = coalesce(nullif(j.error, ''), CASE WHEN reason_ = 'retry' THEN NULL ELSE m.detail END),
            position = nextval('queues_message_id_seq'), lease_id = NULL
        FROM judged j WHERE m.id = j.id AND m.id = ANY (ids)
        RETURNING m.id, m.queue_id, m.state, m.headers, m.reason, m.detail
    ), outcome AS (
        SELECT queues_record(array_agg(j.source_id), array_agg(j.id), array_agg(v.headers),
                             array_agg(j.receives::int), CASE WHEN reason_ = 'expired' THEN 'expired' ELSE 'died' END,
                             '', array_agg(v.reason)) AS done
        FROM judged j JOIN moved v ON v.id = j.id WHERE j.dead AND j.told HAVING count(*) > 0
    ), answered AS (
        SELECT count(queues_answer(v.headers, true, NULL, NULL, v.reason || coalesce(E'\n' || v.detail, ''))) AS done
        FROM judged j JOIN moved v ON v.id = j.id WHERE j.dead AND v.headers IS NOT NULL
    ), intent AS (
        INSERT INTO queues_intent (queue_id, keys)
        SELECT j.source_id, array_agg(j.group_key) FROM judged j WHERE j.dead AND j.ordered GROUP BY 1
    )
    SELECT q.name::text, j.id, j.group_key, moved.state
    FROM judged j JOIN moved ON moved.id = j.id JOIN queues_queue q ON q.id = moved.queue_id
    WHERE (SELECT count(*) FROM outcome) >= 0 AND (SELECT done FROM answered) >= 0;
END $$;
