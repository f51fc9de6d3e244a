-- Sends what has deduplication ids, or goes to an ordered queue. On its own: ids and keys are locked first, so
-- each message finds its place at once. Inside somebody's transaction nothing is locked: messages are staged,
-- and placed at COMMIT (queues_commit); what is known to be a duplicate already is answered as one.
-- No row = the queue is not what the caller remembers.
CREATE OR REPLACE FUNCTION queues_send(
    own boolean, queue_ int, revision_ uuid, ordered_ boolean, sender_ text, payloads bytea[], content_types text[],
    headers_ text[], group_keys text[], priorities smallint[], delays float8[], dues timestamptz[], ttls float8[],
    dedup_ids text[]
) RETURNS TABLE (id bigint, duplicate boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    ids bigint[];      -- what each of the batch is answered with
    fresh boolean[];   -- whether it is sent, or stands for one sent before
    keys text[];
    places bigint[];
BEGIN
    IF NOT queues_enter(queue_, revision_) THEN
        RETURN;
    END IF;
    ids := ARRAY(SELECT nextval('queues_message_id_seq') FROM generate_series(1, cardinality(payloads)));
    fresh := array_fill(true, ARRAY[cardinality(payloads)]);
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
        keys := ARRAY(SELECT DISTINCT u.key FROM unnest(group_keys) u(key));
        PERFORM queues_lock_keys(array_fill(queue_, ARRAY[cardinality(keys)]), keys);
        keys := ARRAY(SELECT u.key FROM unnest(keys) u(key)
                      WHERE (SELECT true FROM queues_message h WHERE h.queue_id = queue_ AND h.group_key = u.key
                               AND h.ordered AND h.state IN (0, 1, 2) LIMIT 1));  -- that have a head
        places := ARRAY(SELECT nextval('queues_message_id_seq') FROM generate_series(1, cardinality(ids)));
    END IF;
    INSERT INTO queues_message (id, queue_id, state, ordered, priority, position, due_at, expires_at, group_key,
                                dedup_id, sender, content_type, headers, payload)
    SELECT s.i, queue_,
           CASE WHEN NOT own THEN 5
                WHEN ordered_ THEN CASE WHEN s.in_key = 1 AND h.key IS NULL THEN 0 ELSE 3 END
                WHEN s.due > statement_timestamp() THEN 2 ELSE 0 END,
           ordered_, coalesce(s.priority, 0), coalesce(s.place, s.i),
           s.due, coalesce(s.due, statement_timestamp()) + make_interval(secs => s.ttl), s.key, s.dedup, sender_,
           s.content_type, s.header, s.payload
    FROM (SELECT u.*, coalesce(u.due_at, statement_timestamp() + make_interval(secs => nullif(u.delay, 0))) AS due,
                 CASE WHEN ordered_ THEN row_number() OVER (PARTITION BY u.key ORDER BY u.i) END AS in_key
          FROM unnest(ids, places, fresh, payloads, content_types, headers_, group_keys, priorities, delays, dues, ttls,
                      dedup_ids)
              u(i, place, fresh, payload, content_type, header, key, priority, delay, due_at, ttl, dedup)
          WHERE u.fresh ORDER BY u.i) s
    LEFT JOIN unnest(keys) h(key) ON h.key = s.key;
    IF NOT own AND true = ANY (fresh) THEN
        INSERT INTO queues_intent (staged) SELECT array_agg(u.i) FROM unnest(ids, fresh) u(i, fresh) WHERE u.fresh;
    END IF;
    RETURN QUERY SELECT u.i, NOT u.fresh FROM unnest(ids, fresh) WITH ORDINALITY u(i, fresh, n) ORDER BY u.n;
END $$;
