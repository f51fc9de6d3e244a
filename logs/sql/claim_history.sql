-- One at a time keeps the history, until its transaction ends: whoever finds it taken leaves it to that one.
SELECT pg_try_advisory_xact_lock('logs_lag_sample'::regclass::oid::int, 0)
