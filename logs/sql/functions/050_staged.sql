-- What a business transaction has published so far: one row a call, gone at its COMMIT.
-- Locks nothing and knows no offsets, so a transaction may stay open without holding up anyone.
-- Unlogged is sound: a row never outlives its transaction. EXTERNAL: no compression of what lives a
-- moment. The CHECK refuses other isolation levels at the publish, not first at COMMIT.
CREATE UNLOGGED TABLE logs_staged (
    id bigint GENERATED ALWAYS AS IDENTITY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
        CONSTRAINT logs_read_committed CHECK (current_setting('transaction_isolation') = 'read committed'),
    requeued boolean NOT NULL DEFAULT false,
    partitions int[] NOT NULL,
    counts int[] NOT NULL,
    keys bytea[] STORAGE EXTERNAL,
    vals bytea[] STORAGE EXTERNAL,
    headers text[] STORAGE EXTERNAL,
    content_types text[],
    ends bigint[],
    timestamps timestamptz[],
    ids text[]
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = -1,
        toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 2000);
CREATE INDEX logs_staged_xid ON logs_staged (xid);
