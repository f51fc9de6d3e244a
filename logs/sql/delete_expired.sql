-- The second half of a deletion, for the shared segment: one batch, a transaction of its own.
SELECT logs_delete_expired(%(limit)s)
