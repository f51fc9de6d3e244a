-- How far groups (NULL: all) are behind on each of their topics: both ends from one snapshot, so that lag is
-- never negative. A partition's end is found once, however many groups read it. The timestamps of the oldest unread
-- records come by one call for each segment, since a call for each row costs more than all the rest; only where
-- compaction removed a record, that behind it is looked for by itself.
WITH ends AS MATERIALIZED (
    SELECT p.id, p.topic_id, p.log_start, t.next_offset AS log_end
    FROM logs_partition p CROSS JOIN LATERAL logs_tail(p) t
    WHERE p.id IN (SELECT partition_id FROM logs_group_partition
                   WHERE %(group_ids)s::int[] IS NULL OR group_id = ANY (%(group_ids)s::int[]))
), places AS (
    SELECT g.group_id, e.topic_id, e.id AS partition_id, e.log_end, n.committed,
           greatest(n.committed, e.log_start) AS position, g.attempts,
           coalesce(g.paused_at, c.paused_at) AS paused_at,
           CASE WHEN g.expires_at > clock_timestamp() THEN g.owner END AS holder
    FROM logs_group_partition g
    JOIN ends e ON e.id = g.partition_id
    JOIN logs_consumergroup c ON c.id = g.group_id
    LEFT JOIN LATERAL (SELECT committed FROM logs_commit
                       WHERE group_partition_id = g.id ORDER BY number DESC LIMIT 1) n ON true
    WHERE %(group_ids)s::int[] IS NULL OR g.group_id = ANY (%(group_ids)s::int[])
), wanted AS (
    SELECT logs_segment_at(partition_id, position) AS segment,
           array_agg(partition_id) AS partitions, array_agg(position) AS offsets
    FROM (SELECT DISTINCT partition_id, position FROM places WHERE position < log_end) p
    GROUP BY 1
), found AS MATERIALIZED (
    SELECT t.* FROM wanted CROSS JOIN LATERAL logs_timestamps(segment, partitions, offsets) t
)
SELECT group_id, topic_id, count(*)::int AS partitions, sum(log_end - position)::bigint AS lag,
       extract(epoch FROM clock_timestamp() - min(oldest))::float8 AS lag_seconds, sum(log_end)::bigint AS log_end,
       count(*) FILTER (WHERE attempts > 0)::int AS failing,
       count(paused_at)::int AS paused,
       (count(*) - count(committed))::int AS not_started,
       coalesce(array_agg(DISTINCT holder) FILTER (WHERE holder IS NOT NULL), '{}')::text[] AS holders
FROM places p
LEFT JOIN found f ON f.of_partition = p.partition_id AND f.of_offset = p.position
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.position < p.log_end THEN
        coalesce(f.found_timestamp, (logs_record_at(p.partition_id, p.position)).found_timestamp) END AS oldest) o
GROUP BY group_id, topic_id
