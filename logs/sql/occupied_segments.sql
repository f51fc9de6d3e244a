-- What may be free by now, the oldest first.
SELECT id FROM logs_segment WHERE topic_id IS NOT NULL ORDER BY opened_at, id
