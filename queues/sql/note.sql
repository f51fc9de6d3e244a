-- Beside the transaction that is about to handle these, and without waiting for the disk: only a crash of the
-- server loses it, and with it one death goes uncharged.
INSERT INTO queues_handling (id, worker, seen_at, message_ids, receives)
SELECT %(handling)s::text, %(worker)s::text, clock_timestamp(), %(ids)b::bigint[], %(receives)b::smallint[]
WHERE queues_relax(true)
ON CONFLICT (id) DO UPDATE
SET seen_at = excluded.seen_at, message_ids = excluded.message_ids, receives = excluded.receives
