-- One bounded batch, a transaction of its own.
SELECT logs_remove_tombstones(%(limit)s)
