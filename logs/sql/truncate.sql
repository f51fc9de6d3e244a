-- The records of partitions that are deleted already; an append that waited for the row finds it gone.
DELETE FROM logs_record WHERE partition_id = ANY (%(partition_ids)s::int[])
