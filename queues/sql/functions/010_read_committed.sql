-- What a business transaction does to a queue must see the queue as it is, not as it was at BEGIN.
CREATE OR REPLACE FUNCTION queues_read_committed() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'send needs READ COMMITTED, not %', current_setting('transaction_isolation')
            USING ERRCODE = 'MQ001';
    END IF;
    RETURN true;
END $$;
