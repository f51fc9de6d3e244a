-- Expired leases end: their messages come back, or die after too many receives. Keys that go on do so at COMMIT,
-- all in one order. statement_timestamp(), here and in promote: an index cannot be searched for a volatile clock.
CREATE OR REPLACE FUNCTION queues_reap(most int)
RETURNS TABLE (queue text, id bigint, group_key text, state smallint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    l record;
BEGIN
    FOR l IN
        DELETE FROM queues_lease WHERE queues_lease.id = ANY (ARRAY(
            SELECT e.id FROM queues_lease e WHERE e.expires_at < statement_timestamp()
            ORDER BY e.expires_at LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING queues_lease.id, queues_lease.message_ids
    LOOP
        RETURN QUERY SELECT * FROM queues_return(
            l.message_ids, l.id, array_fill('NaN'::float8, ARRAY[cardinality(l.message_ids)]), NULL,
            'lease expired', 0);
    END LOOP;
END $$;
