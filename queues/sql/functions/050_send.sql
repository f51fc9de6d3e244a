-- Sends what has deduplication ids, or goes to an ordered queue. On its own: ids and keys are locked first, so
-- each message finds its place at once. Inside somebody's transaction nothing is locked: messages are staged,
-- and placed at COMMIT (queues_commit); what is known to be a duplicate already is answered as one.
-- `ids`: what each of the batch is answered with. `fresh`: whether it is sent, or stands for one sent before; NULL =
-- all are sent. No ids = the queue is not what the caller remembers.
CREATE OR REPLACE FUNCTION queues_send(
    own boolean, queue_ int, revision_ uuid, ordered_ boolean, sender_ text, payloads bytea[], content_types text[],
    headers_ text[], group_keys text[], priorities smallint[], delays float8[], dues timestamptz[], ttls float8[],
    dedup_ids text[], OUT ids bigint[], OUT fresh boolean[]
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    states smallint[];
    places bigint[];
BEGIN
    IF NOT queues_enter(queue_, revision_) THEN
        RETURN;
    END IF;
    IF dedup_ids IS NOT NULL OR NOT own OR NOT ordered_ THEN
        ids := ARRAY(SELECT nextval('queues_message_id_seq') FROM generate_series(1, cardinality(payloads)));
    END IF;
    IF dedup_ids IS NOT NULL THEN
        WITH known AS MATERIALIZED (
            SELECT r.dedup_id, r.message_id FROM queues_remember(
                array_fill(queue_, ARRAY[cardinality(ids)]), dedup_ids, ids) r WHERE own
            UNION ALL
            SELECT r.dedup_id, r.message_id FROM queues_recall(queue_, dedup_ids) r WHERE NOT own
        ), firsts AS (
            SELECT u.dedup, min(u.i) AS i FROM unnest(ids, dedup_ids) u(i, dedup) WHERE u.dedup IS NOT NULL GROUP BY 1
        )
        SELECT array_agg(coalesce(k.message_id, f.i, u.i) ORDER BY u.n),
               array_agg(coalesce(k.message_id, f.i, u.i) = u.i ORDER BY u.n) INTO ids, fresh
        FROM unnest(ids, dedup_ids) WITH ORDINALITY u(i, dedup, n)
        LEFT JOIN known k ON k.dedup_id = u.dedup LEFT JOIN firsts f ON f.dedup = u.dedup;
    END IF;
    IF own AND ordered_ THEN
        PERFORM queues_lock_keys(array_fill(queue_, ARRAY[cardinality(group_keys)]), group_keys);
        places := ARRAY(SELECT nextval('queues_message_id_seq') FROM generate_series(1, cardinality(payloads)));
        ids := coalesce(ids, places);
        states := ARRAY(  -- the first of a key without a head becomes that
            SELECT CASE WHEN s.in_key > 1 OR (
                       SELECT true FROM queues_message h WHERE h.queue_id = queue_ AND h.group_key = s.key
                          AND h.ordered AND h.state IN (0, 1, 2) LIMIT 1) THEN 3 ELSE 0 END
            FROM (SELECT u.key, u.n, row_number() OVER (PARTITION BY u.key COLLATE "C", u.fresh ORDER BY u.n) AS in_key
                  FROM unnest(group_keys, fresh) WITH ORDINALITY u(key, fresh, n)) s ORDER BY s.n);
    END IF;
    INSERT INTO queues_message (id, queue_id, state, ordered, priority, position, due_at, expires_at, group_key,
                                dedup_id, sender, content_type, headers, payload)
    SELECT s.i, queue_,
           CASE WHEN NOT own THEN 5 WHEN ordered_ THEN s.state WHEN s.due > statement_timestamp() THEN 2 ELSE 0 END,
           ordered_, coalesce(s.priority, 0), coalesce(s.place, s.i),
           s.due, coalesce(s.due, statement_timestamp()) + make_interval(secs => s.ttl), s.key, s.dedup, sender_,
           s.content_type, s.header, s.payload
    FROM (SELECT u.*, coalesce(u.due_at, statement_timestamp() + make_interval(secs => nullif(u.delay, 0))) AS due
          FROM (SELECT unnest(ids) AS i, unnest(places) AS place, unnest(states) AS state, unnest(fresh) AS fresh,
                       unnest(payloads) AS payload, unnest(content_types) AS content_type, unnest(headers_) AS header,
                       unnest(group_keys) AS key, unnest(priorities) AS priority, unnest(delays) AS delay,
                       unnest(dues) AS due_at, unnest(ttls) AS ttl, unnest(dedup_ids) AS dedup) u) s
    WHERE s.fresh IS NOT FALSE;
    IF NOT own AND (fresh IS NULL OR true = ANY (fresh)) THEN
        INSERT INTO queues_intent (staged)
        SELECT array_agg(u.i) FROM unnest(ids, fresh) u(i, fresh) WHERE u.fresh IS NOT FALSE;
    END IF;
END $$;
