-- Appends a batch and answers the first offset per partition. The ONLY writer of logs_record.
-- The caller groups the batch: `partitions` ascending, `counts` per partition, then all records in
-- that order. The partition row is the lock; the last offset is read by a LATER statement, whose
-- snapshot is taken when the lock is held, so offsets are dense and in commit order.
-- unnest() in the SELECT list runs in lockstep and is not materialised, unlike in FROM.
CREATE OR REPLACE FUNCTION logs_append(
    partitions int[], counts int[], keys bytea[], vals bytea[], headers_ text[], content_types text[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    now_ timestamptz;
    found_ int[];
    firsts bigint[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'publish needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'MQ001';
    END IF;
    -- Id order: publishers to several partitions cannot deadlock.
    PERFORM FROM logs_partition WHERE id = ANY (partitions) ORDER BY id FOR NO KEY UPDATE;
    SELECT array_agg(p.id ORDER BY p.id),
           array_agg(greatest(l.last_offset + 1, p.log_start) ORDER BY p.id)
    INTO found_, firsts
    FROM logs_partition p
    LEFT JOIN LATERAL (
        SELECT r."offset" AS last_offset FROM logs_record r
        WHERE r.partition_id = p.id ORDER BY r."offset" DESC LIMIT 1) l ON true
    WHERE p.id = ANY (partitions);
    IF found_ IS DISTINCT FROM partitions THEN
        RAISE EXCEPTION 'a topic was deleted before this transaction committed: nothing of it is stored'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'logs_partition_gone';
    END IF;
    now_ := clock_timestamp();
    IF cardinality(partitions) = 1 THEN
        INSERT INTO logs_record ("offset", "timestamp", partition_id, key, value, headers, content_type)
        SELECT generate_series(firsts[1], firsts[1] + counts[1] - 1), now_, partitions[1],
               unnest(keys), unnest(vals), unnest(headers_), unnest(content_types);
    ELSE
        INSERT INTO logs_record ("offset", "timestamp", partition_id, key, value, headers, content_type)
        SELECT unnest(h.offsets), now_, unnest(h.ids),
               unnest(keys), unnest(vals), unnest(headers_), unnest(content_types)
        FROM (SELECT array_agg(first_ + n - 1 ORDER BY id, n) AS offsets, array_agg(id ORDER BY id, n) AS ids
              FROM unnest(partitions, counts, firsts) AS b(id, count_, first_), generate_series(1, count_) n) h;
    END IF;
    RETURN firsts;
END $$;
