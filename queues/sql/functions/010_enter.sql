-- The gate of a send: the queue is still what the caller remembers, and stays while he sends.
-- An advisory lock and not the queue's row: sharing a row would write it at every send. The deletion of
-- the queue takes the lock alone; a function because only the statement after the wait sees what came of it.
CREATE OR REPLACE FUNCTION queues_enter(queue_ int, revision_ uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'send needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'MQ001';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(x'6d710001'::int, queue_);
    RETURN EXISTS (SELECT FROM queues_queue q WHERE q.id = queue_ AND q.revision = revision_);
END $$;

-- Who receives, acknowledges or gives back in a transaction that goes on shares the gate BEFORE it locks a lease or
-- a message: should it send to the queue afterwards, it would wait for a deletion that waits for those rows.
CREATE OR REPLACE FUNCTION queues_share(own boolean, queue_ int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT own THEN
        PERFORM pg_advisory_xact_lock_shared(x'6d710001'::int, queue_);
    END IF;
    RETURN true;
END $$;

-- For a sweep over many queues: it passes over one that is just being deleted, and waits for none.
CREATE OR REPLACE FUNCTION queues_is_staying(queue_ int) RETURNS boolean LANGUAGE sql AS $$
    SELECT pg_try_advisory_xact_lock_shared(x'6d710001'::int, queue_)
$$;

-- Claims, acks and extensions need not wait for the disk where they are a transaction of their own: what
-- a crash takes back is received again.
CREATE OR REPLACE FUNCTION queues_relax(own boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF own THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    RETURN true;
END $$;
