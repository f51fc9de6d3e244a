-- The records, in segments. Segment 0 is shared by all small topics; any other belongs to one topic at a
-- time, is emptied with TRUNCATE when all in it has expired, and is then free for the next. So expiry costs
-- no deletions, and ten thousand topics no tables.
-- 8-byte columns first. timestamp_max and bytes_end are running maximum and running total within a
-- partition: they never fall, so offsets by time or by size are binary searches on the primary key, and the
-- size of a partition is a difference. key_hash is filled where the topic's keys are indexed.
CREATE TABLE logs_record (
    "offset" bigint NOT NULL,
    "timestamp" timestamptz NOT NULL,
    timestamp_max timestamptz NOT NULL,
    bytes_end bigint NOT NULL,
    partition_id int NOT NULL,
    segment smallint NOT NULL,
    key_hash bigint,
    key bytea,
    value bytea,
    headers text,
    content_type text
) PARTITION BY LIST (segment);
-- Locked by every publisher, updated by none: room for new versions on the same page when upkeep does.
ALTER TABLE logs_partition SET (fillfactor = 50);
