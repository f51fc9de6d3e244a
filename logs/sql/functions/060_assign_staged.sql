-- Runs at COMMIT: gives offsets to everything the transaction staged, in one append. The partition
-- locks live from here to the end of the commit.
-- The first firing only touches its row, which queues the trigger once more: so the work runs after
-- every deferred check that was queued before it (foreign keys), and no lock waits for those.
CREATE FUNCTION logs_assign_staged() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF current_setting('logs.requeued', true) IS DISTINCT FROM NEW.xid::text THEN
            PERFORM set_config('logs.requeued', NEW.xid::text, true);  -- a look at the rows instead would be quadratic
            UPDATE logs_staged SET requeued = true WHERE xid = NEW.xid AND id = NEW.id;
            IF NOT FOUND THEN  -- done with the first: the constraints are checked before the COMMIT, and may be again
                PERFORM set_config('logs.requeued', '', true);
            END IF;
        END IF;
        RETURN NULL;
    END IF;
    PERFORM set_config('logs.requeued', '', true);  -- what is staged from here on is for another firing
    IF NEW.ids IS NULL AND NOT EXISTS (SELECT FROM logs_staged WHERE xid = NEW.xid AND id <> NEW.id) THEN
        DELETE FROM logs_staged WHERE xid = NEW.xid;
        PERFORM logs_append(NEW.partitions, NEW.counts, NEW.keys, NEW.vals, NEW.headers, NEW.content_types,
                            NEW.ends, NEW.timestamps, NULL);
        RETURN NULL;
    END IF;
    WITH d AS (
        DELETE FROM logs_staged WHERE xid = NEW.xid RETURNING *
    ), place AS (  -- which partition the n-th record of a call goes to
        SELECT d.id, row_number() OVER (PARTITION BY d.id ORDER BY b.ord, g) AS n, b.q
        FROM d, unnest(d.partitions, d.counts) WITH ORDINALITY b(q, count_, ord), generate_series(1, b.count_) g
    ), content AS (
        SELECT d.id, u.* FROM d, unnest(d.ids, d.keys, d.vals, d.headers, d.content_types, d.timestamps)
            WITH ORDINALITY u(i, k, v, h, c, t, n)
    )
    SELECT array_agg(q ORDER BY id, n) AS qs, array_agg(i ORDER BY id, n) AS ids, array_agg(k ORDER BY id, n) AS ks,
           array_agg(v ORDER BY id, n) AS vs, array_agg(h ORDER BY id, n) AS hs, array_agg(c ORDER BY id, n) AS cs,
           array_agg(t ORDER BY id, n) AS ts
    INTO s FROM place LEFT JOIN content USING (id, n);
    PERFORM logs_append_once(s.qs, s.ids, s.ks, s.vs, s.hs, s.cs, s.ts, NULL);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER logs_staged_assign AFTER INSERT OR UPDATE ON logs_staged
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION logs_assign_staged();
