-- What may be forgotten, a batch: its time is over, or it is more than the table shall hold. A lower bound of ids
-- is enough for that: it may forget a little early.
WITH gone AS (
    DELETE FROM queues_outcome WHERE id = ANY (ARRAY(
        (SELECT id FROM queues_outcome WHERE expires_at <= statement_timestamp()
         ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)))
       OR id = ANY (ARRAY(
        SELECT id FROM queues_outcome WHERE id <= (SELECT max(id) FROM queues_outcome) - %(most)s
        ORDER BY id LIMIT %(limit)s))
    RETURNING 1
)
SELECT count(*) FROM gone
