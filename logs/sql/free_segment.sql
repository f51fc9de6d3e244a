-- A transaction of its own: TRUNCATE holds its lock until COMMIT. False: something in it can still be read.
SELECT logs_free_segment(%(segment)s::smallint, %(quiet_seconds)s)
