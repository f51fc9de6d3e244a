-- logs_append for one record. Scalars cost half of what arrays do, and singles are the most frequent call.
CREATE FUNCTION logs_append_one(
    partition_ int, key_ bytea, value_ bytea, headers_ text, content_type_ text, timestamp_ timestamptz,
    size_ bigint, revision_ uuid
) RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    p logs_partition;
    t record;
    now_ timestamptz;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'publish needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'MQ001';
    END IF;
    SELECT * INTO p FROM logs_partition WHERE id = partition_ FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the topic was deleted' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'logs_partition_gone';
    ELSIF p.revision <> revision_ THEN
        RAISE EXCEPTION 'the topic was altered' USING ERRCODE = 'MQ002';
    END IF;
    t := logs_tail(p);
    now_ := coalesce(timestamp_, clock_timestamp());
    INSERT INTO logs_record ("offset", "timestamp", timestamp_max, bytes_end, partition_id, segment,
                             key_hash, key, value, headers, content_type)
    VALUES (t.next_offset, now_, greatest(now_, t.last_timestamp), t.last_bytes + size_, p.id, p.segment,
            CASE WHEN p.hash_keys THEN logs_key_hash(key_) END, key_, value_, headers_, content_type_);
    RETURN t.next_offset;
END $$;
