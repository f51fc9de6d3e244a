-- Workers that are not heard of any more: what they had written down and nobody holds is charged one receive. What
-- somebody holds (a worker that only seemed dead, or the next one) stays written down for the next look.
CREATE OR REPLACE FUNCTION queues_charge(dead_seconds float8, most int)
RETURNS TABLE (queue text, id bigint, group_key text, state smallint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    h record;
    ids bigint[];
    held bigint[];
BEGIN
    FOR h IN SELECT * FROM queues_handling w WHERE w.seen_at < clock_timestamp() - make_interval(secs => dead_seconds)
             ORDER BY w.id LIMIT most FOR UPDATE SKIP LOCKED LOOP
        ids := ARRAY(SELECT m.id FROM unnest(h.message_ids, h.receives) u(id, receives)
                     JOIN queues_message m ON m.id = u.id AND m.state = 0 AND m.receives = u.receives
                     WHERE m.id = ANY (h.message_ids) AND queues_is_staying(m.queue_id)
                     ORDER BY m.id FOR UPDATE OF m SKIP LOCKED);
        held := ARRAY(SELECT m.id FROM unnest(h.message_ids, h.receives) u(id, receives)
                      JOIN queues_message m ON m.id = u.id AND m.state = 0 AND m.receives = u.receives
                      WHERE m.id = ANY (h.message_ids) AND m.id <> ALL (ids));
        RETURN QUERY SELECT * FROM queues_return(
            ids, NULL, array_fill('NaN'::float8, ARRAY[cardinality(ids)]), NULL, 'worker died', 1);
        IF held = '{}' THEN
            DELETE FROM queues_handling w WHERE w.id = h.id;
        ELSE
            UPDATE queues_handling w SET message_ids = k.ids, receives = k.receives
            FROM (SELECT array_agg(u.id) AS ids, array_agg(u.receives) AS receives
                  FROM unnest(h.message_ids, h.receives) u(id, receives) WHERE u.id = ANY (held)) k
            WHERE w.id = h.id;
        END IF;
    END LOOP;
END $$;
