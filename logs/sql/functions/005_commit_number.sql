-- Orders the commits of a group partition; the fence row is locked while one is taken.
CREATE SEQUENCE logs_commit_number;
