-- One bounded step, backwards, of hashing the keys of records that stood before the topic's keys were indexed.
-- Answers how many offsets it passed.
CREATE FUNCTION logs_hash_older_keys(partition_ int, limit_ int) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    p logs_partition;
    from_ bigint;
BEGIN
    SELECT * INTO p FROM logs_partition WHERE id = partition_ AND hash_keys AND hashed_from > log_start;
    IF p.id IS NULL OR NOT pg_try_advisory_xact_lock(logs_rewrite_lock(), p.id) THEN
        RETURN 0;
    END IF;
    from_ := greatest(p.log_start, p.hashed_from - limit_, (
        SELECT max(first_offset) FROM logs_extent WHERE partition_id = p.id AND first_offset < p.hashed_from));
    EXECUTE format('UPDATE logs_record_s%s SET key_hash = logs_key_hash(key) WHERE partition_id = $1
        AND "offset" >= $2 AND "offset" < $3 AND key_hash IS NULL AND key IS NOT NULL',
        logs_segment_at(p.id, p.hashed_from - 1)) USING p.id, from_, p.hashed_from;
    UPDATE logs_partition SET hashed_from = from_ WHERE id = p.id;
    RETURN p.hashed_from - from_;
END $$;

-- The newest records of a key before an offset, through the index: complete from hashed_from on.
CREATE FUNCTION logs_find_key(partition_ int, key_ bytea, before bigint, limit_ int)
RETURNS TABLE (offset_ bigint, at timestamptz, key__ bytea, value_ bytea, headers_ text, content_type_ text)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    p logs_partition;
    s smallint;
    found_ int;
BEGIN
    SELECT * INTO p FROM logs_partition WHERE id = partition_;
    FOR s IN SELECT x FROM logs_segments_of(p) WITH ORDINALITY u(x, n) ORDER BY n DESC LOOP
        RETURN QUERY EXECUTE format('SELECT "offset", "timestamp", key, value, headers, content_type FROM logs_record_s%s
            WHERE partition_id = $1 AND key_hash = logs_key_hash($2) AND key = $2 AND "offset" < $3 AND "offset" >= $4
            ORDER BY "offset" DESC LIMIT $5', s) USING partition_, key_, before, p.log_start, limit_;
        GET DIAGNOSTICS found_ = ROW_COUNT;
        limit_ := limit_ - found_;
        EXIT WHEN limit_ <= 0;
    END LOOP;
END $$;

-- Takes value and headers from every record of a key; offsets and keys stay. Through the index where there is
-- one; what is not hashed is read whole. Answers how many records lost something.
CREATE FUNCTION logs_erase_key(partition_ int, key_ bytea) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    p logs_partition;
    s smallint;
    unhashed bigint;
    count_ bigint;
    erased bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(logs_rewrite_lock(), partition_);
    SELECT * INTO p FROM logs_partition WHERE id = partition_;
    unhashed := CASE WHEN p.hash_keys THEN p.hashed_from ELSE logs_log_end(p.id) END;
    FOR s IN SELECT logs_segments_of(p) LOOP
        EXECUTE format('UPDATE logs_record_s%s SET value = NULL, headers = NULL
            WHERE partition_id = $1 AND key_hash = logs_key_hash($2) AND key = $2
              AND (value IS NOT NULL OR headers IS NOT NULL)', s) USING p.id, key_;
        GET DIAGNOSTICS count_ = ROW_COUNT;
        erased := erased + count_;
        IF unhashed > p.log_start THEN
            EXECUTE format('UPDATE logs_record_s%s SET value = NULL, headers = NULL
                WHERE partition_id = $1 AND "offset" >= $3 AND "offset" < $4 AND key_hash IS NULL AND key = $2
                  AND (value IS NOT NULL OR headers IS NOT NULL)', s) USING p.id, key_, p.log_start, unhashed;
            GET DIAGNOSTICS count_ = ROW_COUNT;
            erased := erased + count_;
        END IF;
    END LOOP;
    RETURN erased;
END $$;
