-- Places what a transaction staged: duplicates go, the others take their place. Deduplication ids first, then
-- keys, each in one order for everybody, and all of it at COMMIT: so no circle of waits can form. Under the
-- lock of its key a message takes its position, so the order of a key is the order of commits.
CREATE OR REPLACE FUNCTION queues_place(staged_ bigint[], queues int[], keys text[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ordered_ boolean;
    k record;
BEGIN
    IF EXISTS (SELECT FROM queues_message m WHERE m.id = ANY (staged_) AND m.dedup_id IS NOT NULL) THEN
        DELETE FROM queues_message m USING (
            SELECT r.* FROM (SELECT array_agg(s.queue_id) AS q, array_agg(s.dedup_id) AS d, array_agg(s.id) AS i
                             FROM queues_message s WHERE s.id = ANY (staged_) AND s.dedup_id IS NOT NULL) a
            CROSS JOIN LATERAL queues_remember(a.q, a.d, a.i) r) r
        WHERE m.id = ANY (staged_) AND m.queue_id = r.queue_id AND m.dedup_id = r.dedup_id AND m.id <> r.message_id;
    END IF;
    SELECT array_agg(s.queue_id) AS q, array_agg(s.group_key) AS g INTO k
    FROM queues_message s WHERE s.id = ANY (staged_) AND s.ordered;
    queues := coalesce(queues, '{}') || coalesce(k.q, '{}');
    keys := coalesce(keys, '{}') || coalesce(k.g, '{}');
    PERFORM queues_lock_keys(queues, keys);
    UPDATE queues_message m SET state = p.state, position = p.position
    FROM (SELECT s.id, CASE WHEN s.ordered THEN 3 WHEN s.due_at > statement_timestamp() THEN 2 ELSE 0 END AS state,
                 CASE WHEN s.ordered THEN nextval('queues_message_id_seq') ELSE s.id END AS position
          FROM (SELECT * FROM queues_message s WHERE s.id = ANY (staged_) AND s.state = 5 ORDER BY s.id OFFSET 0) s) p
    WHERE m.id = p.id AND m.id = ANY (staged_);
    PERFORM queues_raise_heads(queues, keys);
END $$;

-- Runs at COMMIT. Each of the first two firings only queues the next: so the work comes after every deferred
-- check queued before it (foreign keys), and after the log's appends, whose partition locks everybody then
-- takes first.
CREATE OR REPLACE FUNCTION queues_commit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    IF NEW.turns < 2 THEN
        IF current_setting('queues.turn', true) IS DISTINCT FROM NEW.xid || '/' || NEW.turns THEN
            PERFORM set_config('queues.turn', NEW.xid || '/' || NEW.turns, true);  -- once for all rows
            UPDATE queues_intent SET turns = NEW.turns + 1 WHERE xid = NEW.xid AND id = NEW.id;
            IF NOT FOUND THEN  -- done with the first: the constraints are checked before the COMMIT, and may be again
                PERFORM set_config('queues.turn', '', true);
            END IF;
        END IF;
        RETURN NULL;
    END IF;
    PERFORM set_config('queues.turn', '', true);  -- what comes from here on is for another firing
    WITH gone AS (
        DELETE FROM queues_intent WHERE xid = NEW.xid RETURNING *
    )
    SELECT (SELECT array_agg(s) FROM gone g, unnest(g.staged) s) AS staged,
           (SELECT array_agg(g.queue_id ORDER BY g.id, n) FROM gone g, unnest(g.keys) WITH ORDINALITY k(key, n)) AS q,
           (SELECT array_agg(k.key ORDER BY g.id, n) FROM gone g, unnest(g.keys) WITH ORDINALITY k(key, n)) AS k INTO d;
    PERFORM queues_place(d.staged, d.q, d.k);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER queues_intent_commit AFTER INSERT OR UPDATE ON queues_intent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION queues_commit();
