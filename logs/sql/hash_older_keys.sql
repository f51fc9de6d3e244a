-- One step, a transaction of its own.
SELECT logs_hash_older_keys(%(partition_id)s, %(limit)s)
