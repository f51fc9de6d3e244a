-- What is left to do when a transaction commits: messages it staged, and keys whose head it ended. A row
-- never outlives its transaction, hence unlogged. Under another isolation level a key could be left without a head. Nobody waits for it, however long the transaction stays open.
CREATE UNLOGGED TABLE queues_intent (
    id bigint GENERATED ALWAYS AS IDENTITY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
        CONSTRAINT queues_read_committed CHECK (current_setting('transaction_isolation') = 'read committed'),
    staged bigint[],
    queue_id int,
    keys text[],
    turns smallint NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off);
CREATE INDEX queues_intent_xid ON queues_intent (xid);

-- The heads of these keys (null: of none) are gone: the keys go on, now or when the transaction commits.
CREATE OR REPLACE FUNCTION queues_end_heads(queue_ int, keys_ text[], own boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    queues int[] := array_fill(queue_, ARRAY[coalesce(cardinality(keys_), 0)]);
BEGIN
    IF own THEN
        PERFORM queues_lock_keys(queues, keys_);
        PERFORM queues_raise_heads(queues, keys_);
    ELSIF cardinality(keys_) > 0 THEN
        INSERT INTO queues_intent (queue_id, keys) VALUES (queue_, keys_);
    END IF;
END $$;
