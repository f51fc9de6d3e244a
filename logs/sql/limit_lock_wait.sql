-- Until the end of this transaction, a statement that waits longer for a lock fails (55P03).
SELECT set_config('lock_timeout', %(milliseconds)s::int || 'ms', true)
