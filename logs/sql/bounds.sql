-- Log start and log end (the NEXT offset to be written) of partitions, and their size, from one snapshot.
SELECT p.id, p.number, p.log_start, t.next_offset, t.last_bytes - p.log_start_bytes
FROM logs_partition p CROSS JOIN LATERAL logs_tail(p) t
WHERE p.id = ANY (%(partition_ids)s::int[])
ORDER BY p.id
