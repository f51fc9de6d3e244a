-- Appends a batch and answers the first offset per partition. Nothing but it and logs_append_one writes to logs_record.
-- The caller groups the batch: `partitions` ascending, `counts` per partition, then all records in that
-- order, `ends` being the running total of bytes within each partition. The partition row is the lock; the
-- last record is read by a LATER statement, whose snapshot is taken when the lock is held, so offsets are
-- dense and in commit order. Ascending ids: publishers to several partitions cannot deadlock.
-- unnest() in the SELECT list runs in lockstep and is not materialised, unlike in FROM.
-- `revision_` says what the caller knew of the topic; NULL where nobody can start again (at COMMIT).
CREATE FUNCTION logs_append(
    partitions int[], counts int[], keys bytea[], vals bytea[], headers_ text[], content_types text[],
    ends bigint[], timestamps timestamptz[], revision_ uuid
) RETURNS bigint[] LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    p logs_partition;
    t record;
    now_ timestamptz;
    stamps timestamptz[];
    maxes timestamptz[];
    hashes bigint[];
    firsts bigint[];
    a int := 1;  -- the partition's records are a to b
    b int;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'publish needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'MQ001';
    END IF;
    FOR i IN 1..cardinality(partitions) LOOP
        b := a + counts[i] - 1;
        SELECT * INTO p FROM logs_partition WHERE id = partitions[i] FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a topic was deleted before this transaction committed: nothing of it is stored'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'logs_partition_gone';
        ELSIF p.revision <> revision_ THEN
            RAISE EXCEPTION 'the topic was altered' USING ERRCODE = 'MQ002';
        END IF;
        t := logs_tail(p);
        now_ := clock_timestamp();
        IF timestamps IS NULL THEN
            stamps := array_fill(now_, ARRAY[counts[i]]);
            maxes := array_fill(greatest(now_, t.last_timestamp), ARRAY[counts[i]]);
        ELSE
            SELECT array_agg(at ORDER BY n), array_agg(top ORDER BY n) INTO stamps, maxes
            FROM (SELECT n, at, greatest(t.last_timestamp, max(at) OVER (ORDER BY n)) AS top
                  FROM (SELECT n, coalesce(given, now_) AS at
                        FROM unnest(timestamps[a:b]) WITH ORDINALITY u(given, n)) x) y;
        END IF;
        IF p.hash_keys THEN
            SELECT array_agg(logs_key_hash(k) ORDER BY n) INTO hashes
            FROM unnest(keys[a:b]) WITH ORDINALITY u(k, n);
        ELSE
            hashes := NULL;
        END IF;
        INSERT INTO logs_record ("offset", "timestamp", timestamp_max, bytes_end, partition_id, segment,
                                 key_hash, key, value, headers, content_type)
        SELECT generate_series(t.next_offset, t.next_offset + counts[i] - 1), unnest(stamps), unnest(maxes),
               t.last_bytes + unnest(ends[a:b]), p.id, p.segment, unnest(hashes),
               unnest(keys[a:b]), unnest(vals[a:b]), unnest(headers_[a:b]), unnest(content_types[a:b]);
        firsts := firsts || t.next_offset;
        a := b + 1;
    END LOOP;
    RETURN firsts;
END $$;

-- 64 bits of MD5: any server and any client can compute it; a search compares the key as well.
CREATE FUNCTION logs_key_hash(key bytea) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ('x' || left(md5(key), 16))::bit(64)::bigint
$$;
