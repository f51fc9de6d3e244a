-- One step, a transaction of its own.
SELECT logs_compact(%(partition_id)s, %(limit)s)
