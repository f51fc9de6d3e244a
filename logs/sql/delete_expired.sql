-- The second half of a deletion, for the shared segment: one bounded batch, from where the last one ended on,
-- so that it never walks over dead entries. Answers how many offsets are done.
WITH chosen AS (
    SELECT id, partition_id, first_offset, end_offset FROM logs_expired ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
), summed AS (
    SELECT *, sum(end_offset - first_offset) OVER (ORDER BY id) - (end_offset - first_offset) AS before FROM chosen
), range AS (
    SELECT *, least(end_offset, first_offset + %(limit)s::bigint - before) AS until
    FROM summed WHERE before < %(limit)s::bigint
), gone AS (
    DELETE FROM logs_record_s0 r USING range
    WHERE r.partition_id = range.partition_id AND r."offset" >= range.first_offset AND r."offset" < range.until
), done AS (
    DELETE FROM logs_expired e USING range WHERE e.id = range.id AND range.until = range.end_offset
), rest AS (
    UPDATE logs_expired e SET first_offset = range.until FROM range WHERE e.id = range.id AND range.until < range.end_offset
)
SELECT coalesce(sum(until - first_offset), 0)::bigint FROM range
