-- Makes one more segment, while everything runs: ATTACH takes no lock that a publisher or reader minds.
-- The functions that read a segment by its number are written anew with one static branch each: a
-- cached plan that reads through the parent locks EVERY child, and TRUNCATE would wait for all readers of
-- all topics. The last branch serves a session that has not yet seen the new text.
CREATE FUNCTION logs_add_segment() RETURNS smallint LANGUAGE plpgsql AS $fn$
DECLARE
    n smallint;
    last_ text := 'SELECT "offset", timestamp_max, bytes_end FROM logs_record_s%1$s
        WHERE partition_id = $2 ORDER BY "offset" DESC LIMIT 1';
    from_ text := 'SELECT "offset", "timestamp", timestamp_max, bytes_end, coalesce(octet_length(key), 0)
        + coalesce(octet_length(value), 0) + coalesce(octet_length(headers), 0) FROM logs_record_s%1$s
        WHERE partition_id = $2 AND "offset" >= $3 ORDER BY "offset" LIMIT 1';
    ages text := 'SELECT p.id, p.at, r."timestamp" FROM unnest($2, $3) p(id, at)
        JOIN logs_record_s%1$s r ON r.partition_id = p.id AND r."offset" = p.at';
    -- A session keeps its plans. One made while the segment was small must not read it whole once it is large.
    branches text := $f$ LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off AS $b$ BEGIN CASE segment_
        %s ELSE %s; END CASE; END $b$ $f$;
    outs text;
BEGIN
    LOCK TABLE logs_segment IN SHARE ROW EXCLUSIVE MODE;
    SELECT count(*) INTO n FROM pg_inherits WHERE inhparent = 'logs_record'::regclass;
    EXECUTE format('CREATE TABLE logs_record_s%1$s (LIKE logs_record, PRIMARY KEY (partition_id, "offset"))', n);
    EXECUTE format('CREATE INDEX logs_record_s%1$s_key ON logs_record_s%1$s (partition_id, key_hash, "offset")
                    WHERE key_hash IS NOT NULL', n);
    EXECUTE format('ALTER TABLE logs_record ATTACH PARTITION logs_record_s%1$s FOR VALUES IN (%1$s)', n);
    outs := 'last_offset, last_timestamp, last_bytes';
    EXECUTE 'CREATE OR REPLACE FUNCTION logs_last_record(segment_ smallint, partition_ int,
        OUT last_offset bigint, OUT last_timestamp timestamptz, OUT last_bytes bigint)' || format(branches,
        (SELECT string_agg(format('WHEN %1$s THEN ' || last_ || ' INTO %2$s;', s, outs), E'\n' ORDER BY s)
         FROM generate_series(0, n) s), format('EXECUTE format(%L, segment_) INTO %s USING $1, $2', last_, outs));
    outs := 'found_offset, found_timestamp, found_timestamp_max, found_bytes, found_size';
    EXECUTE 'CREATE OR REPLACE FUNCTION logs_record_from(segment_ smallint, partition_ int, from_ bigint,
        OUT found_offset bigint, OUT found_timestamp timestamptz, OUT found_timestamp_max timestamptz,
        OUT found_bytes bigint, OUT found_size bigint)' || format(branches,
        (SELECT string_agg(format('WHEN %1$s THEN ' || from_ || ' INTO %2$s;', s, outs), E'\n' ORDER BY s)
         FROM generate_series(0, n) s), format('EXECUTE format(%L, segment_) INTO %s USING $1, $2, $3', from_, outs));
    -- Of many records at once, each named by a pair of both arrays: for those that stand in the segment.
    EXECUTE 'CREATE OR REPLACE FUNCTION logs_timestamps(segment_ smallint, partitions_ int[], offsets_ bigint[])
        RETURNS TABLE (of_partition int, of_offset bigint, found_timestamp timestamptz)
        SET enable_hashjoin = off SET enable_mergejoin = off' || format(branches,
        (SELECT string_agg(format('WHEN %1$s THEN RETURN QUERY ' || ages || ';', s), E'\n' ORDER BY s)
         FROM generate_series(0, n) s), format('RETURN QUERY EXECUTE format(%L, segment_) USING $1, $2, $3', ages));
    INSERT INTO logs_segment (id) SELECT n WHERE n > 0 ON CONFLICT DO NOTHING;
    RETURN n;
END $fn$;

SELECT logs_add_segment();
-- The only child whose rows are deleted one by one.
ALTER TABLE logs_record_s0 SET (autovacuum_vacuum_scale_factor = 0.02);
