-- Those that are still there, and stay there until COMMIT, for what shall refer to them. KEY SHARE, the lock of a
-- foreign key's check: whoever joins holds it already, and a stronger one would deadlock with a deletion that waits.
SELECT id FROM logs_consumergroup WHERE id = ANY (%(group_ids)s::int[]) ORDER BY id FOR KEY SHARE
