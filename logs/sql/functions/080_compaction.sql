-- The segments a partition's standing records are in, oldest first.
CREATE FUNCTION logs_segments_of(p logs_partition) RETURNS SETOF smallint LANGUAGE sql STABLE AS $$
    SELECT segment FROM (
        SELECT 0::smallint AS segment, -1::bigint AS first_offset WHERE logs_segment_at(p.id, p.log_start) = 0
        UNION ALL SELECT segment, first_offset FROM logs_extent WHERE partition_id = p.id) x
    ORDER BY first_offset
$$;

-- Whoever deletes or changes records of a partition out of order holds this, with the partition's id.
CREATE FUNCTION logs_rewrite_lock() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 1819240307 $$;  -- "logs"

-- One bounded step of compaction: for each key among the next `limit_` offsets, all its earlier records go.
-- A record is looked at once, as the newer one; so the cost follows what is new, not what stands. The last
-- record of a partition is never removed, hence offsets never come back. Answers how many offsets it passed.
-- The partition row is touched last: publishers wait only for the end of this transaction.
CREATE FUNCTION logs_compact(partition_ int, limit_ int) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    p logs_partition;
    c logs_topic;
    s smallint;
    from_ bigint;
    until bigint;
    d record;
BEGIN
    SELECT * INTO p FROM logs_partition WHERE id = partition_;
    SELECT * INTO c FROM logs_topic WHERE id = p.topic_id AND cleanup_policy LIKE '%compact%';
    IF c.id IS NULL OR p.hashed_from > p.log_start OR NOT pg_try_advisory_xact_lock(logs_rewrite_lock(), p.id) THEN
        RETURN 0;
    END IF;
    from_ := greatest(p.cleaned_until, p.log_start);
    until := least(from_ + limit_,
        logs_first_offset(p.id, clock_timestamp() - c.min_compaction_lag_ms * interval '1 millisecond', NULL),
        (SELECT min(first_offset) FROM logs_extent WHERE partition_id = p.id AND first_offset > from_));
    IF until <= from_ THEN
        RETURN 0;
    END IF;
    EXECUTE format('SELECT array_agg(key_hash) AS hashes, array_agg(key) AS keys, array_agg(newest) AS newest,
                           array_agg(newest) FILTER (WHERE is_tombstone) AS tombstones
        FROM (SELECT DISTINCT ON (key_hash, key) key_hash, key, "offset" AS newest, value IS NULL AS is_tombstone
              FROM logs_record_s%s WHERE partition_id = $1 AND "offset" >= $2 AND "offset" < $3 AND key IS NOT NULL
              ORDER BY key_hash, key, "offset" DESC) x', logs_segment_at(p.id, from_))
    INTO d USING p.id, from_, until;
    FOR s IN SELECT logs_segments_of(p) LOOP
        EXECUTE format('DELETE FROM logs_record_s%s r USING unnest($2, $3, $4) d(key_hash, key, newest)
            WHERE r.partition_id = $1 AND r.key_hash = d.key_hash AND r.key = d.key AND r."offset" < d.newest
              AND r."offset" >= $5', s)
        USING p.id, d.hashes, d.keys, d.newest, p.log_start;
    END LOOP;
    INSERT INTO logs_tombstone (partition_id, "offset", remove_at)
    SELECT p.id, t, clock_timestamp() + c.delete_retention_ms * interval '1 millisecond' FROM unnest(d.tombstones) t
    ON CONFLICT DO NOTHING;
    UPDATE logs_partition SET cleaned_until = until WHERE id = p.id;
    RETURN until - from_;
END $$;

-- Removes tombstones whose time has come, but never the last record of a partition. Answers how many.
CREATE FUNCTION logs_remove_tombstones(limit_ int) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    t record;
    removed bigint := 0;
BEGIN
    FOR t IN SELECT * FROM logs_tombstone WHERE remove_at < clock_timestamp()
             AND "offset" + 1 IS DISTINCT FROM logs_log_end(partition_id)
             ORDER BY remove_at LIMIT limit_ FOR UPDATE SKIP LOCKED LOOP
        EXECUTE format('DELETE FROM logs_record_s%s WHERE partition_id = $1 AND "offset" = $2 AND value IS NULL',
                       logs_segment_at(t.partition_id, t."offset")) USING t.partition_id, t."offset";
        DELETE FROM logs_tombstone WHERE partition_id = t.partition_id AND "offset" = t."offset";
        removed := removed + 1;
    END LOOP;
    RETURN removed;
END $$;
