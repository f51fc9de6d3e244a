-- Log start and log end (the NEXT offset to be written) of partitions, both from one snapshot.
SELECT p.id, p.number, p.log_start, greatest(l.last_offset + 1, p.log_start)
FROM logs_partition p
LEFT JOIN LATERAL (
    SELECT r."offset" AS last_offset FROM logs_record r
    WHERE r.partition_id = p.id ORDER BY r."offset" DESC LIMIT 1) l ON true
WHERE p.id = ANY (%(partition_ids)s::int[])
ORDER BY p.id
