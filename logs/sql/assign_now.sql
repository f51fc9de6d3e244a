-- For tests, whose transaction never commits: assigns what is staged at once, then defers again.
DO $$ BEGIN
    SET CONSTRAINTS logs_staged_assign IMMEDIATE;
    SET CONSTRAINTS logs_staged_assign DEFERRED;
END $$
