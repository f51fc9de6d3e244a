-- A topic is about to go: what its partitions hold in the shared segment may be deleted in batches.
-- Segments of its own are found empty of readers once its partitions are gone.
SELECT logs_note_expired(p, t.next_offset)
FROM logs_partition p CROSS JOIN LATERAL logs_tail(p) t
WHERE p.id = ANY (%(partition_ids)s::int[])
