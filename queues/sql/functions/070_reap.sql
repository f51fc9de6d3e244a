-- Leases end that have expired, or whose holder is a worker process that is not heard of any more: their messages
-- come back, or die after too many receives. Keys that go on do so at COMMIT, all in one order.
-- statement_timestamp(), here and in promote: an index cannot be searched for a volatile clock. The condition
-- stands twice, so that a lease that is extended meanwhile is looked at again.
CREATE OR REPLACE FUNCTION queues_reap(dead_seconds float8, most int)
RETURNS TABLE (queue text, id bigint, group_key text, state smallint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    dead text[] := ARRAY(SELECT w.name FROM mqsite_workerprocess w
                         WHERE w.seen_at < statement_timestamp() - make_interval(secs => dead_seconds));
    ended uuid[] := ARRAY(SELECT e.id FROM queues_lease e WHERE e.expires_at < statement_timestamp()
                          ORDER BY e.expires_at LIMIT most);
    l record;
BEGIN
    IF dead <> '{}' THEN
        ended := ended || ARRAY(SELECT e.id FROM queues_lease e WHERE e.holder = ANY (dead) LIMIT most);
    END IF;
    FOR l IN
        DELETE FROM queues_lease e WHERE e.id = ANY (ARRAY(
            SELECT e.id FROM queues_lease e
            WHERE e.id = ANY (ended) AND (e.expires_at < statement_timestamp() OR e.holder = ANY (dead))
            FOR UPDATE SKIP LOCKED))
        RETURNING e.id, e.message_ids
    LOOP
        RETURN QUERY SELECT * FROM queues_return(
            l.message_ids, l.id, array_fill('NaN'::float8, ARRAY[cardinality(l.message_ids)]), NULL,
            'lease expired', 0);
    END LOOP;
END $$;
