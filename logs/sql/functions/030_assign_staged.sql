-- Runs at COMMIT: gives offsets to everything the transaction staged, in one append. The partition
-- locks live from here to the end of the commit.
-- The first firing only touches its row, which queues the trigger once more: so the work runs after
-- every deferred check that was queued before it (foreign keys), and no lock waits for those.
CREATE OR REPLACE FUNCTION logs_assign_staged() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE logs_staged SET requeued = true WHERE xid = NEW.xid AND id = NEW.id
            AND NOT EXISTS (SELECT FROM logs_staged WHERE xid = NEW.xid AND requeued);
        RETURN NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM logs_staged WHERE xid = NEW.xid AND id <> NEW.id) THEN
        DELETE FROM logs_staged WHERE xid = NEW.xid;
        PERFORM logs_append(NEW.partitions, NEW.counts, NEW.keys, NEW.vals, NEW.headers, NEW.content_types);
        RETURN NULL;
    END IF;
    WITH d AS (
        DELETE FROM logs_staged WHERE xid = NEW.xid RETURNING *
    ), place AS (  -- which partition the n-th record of a call goes to
        SELECT d.id, row_number() OVER (PARTITION BY d.id ORDER BY b.ord, g) AS n, b.partition_
        FROM d, unnest(d.partitions, d.counts) WITH ORDINALITY b(partition_, count_, ord), generate_series(1, b.count_) g
    ), content AS (
        SELECT d.id, u.n, u.k, u.v, u.h, u.c
        FROM d, unnest(d.keys, d.vals, d.headers, d.content_types) WITH ORDINALITY u(k, v, h, c, n)
    ), r AS (
        SELECT * FROM place JOIN content USING (id, n)
    )
    SELECT array_agg(k ORDER BY partition_, id, n) AS keys, array_agg(v ORDER BY partition_, id, n) AS vals,
           array_agg(h ORDER BY partition_, id, n) AS headers, array_agg(c ORDER BY partition_, id, n) AS content_types,
           (SELECT array_agg(partition_ ORDER BY partition_) FROM (SELECT DISTINCT partition_ FROM r) x) AS partitions,
           (SELECT array_agg(size ORDER BY partition_)
            FROM (SELECT partition_, count(*)::int AS size FROM r GROUP BY partition_) x) AS counts
    INTO s FROM r;
    PERFORM logs_append(s.partitions, s.counts, s.keys, s.vals, s.headers, s.content_types);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER logs_staged_assign AFTER INSERT OR UPDATE ON logs_staged
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION logs_assign_staged();
