-- For tests, whose transaction never commits: does what the COMMIT would do, then defers again.
DO $$ BEGIN
    SET CONSTRAINTS queues_intent_commit IMMEDIATE;
    SET CONSTRAINTS queues_intent_commit DEFERRED;
END $$
