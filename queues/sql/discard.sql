-- All that is left of a queue whose row is deleted already. Lease rows first, see ack.sql: the count is
-- there to have them locked before the first message is.
WITH l AS MATERIALIZED (
    SELECT id FROM queues_lease WHERE queue_id = %(queue_id)s FOR UPDATE
), ended AS (
    DELETE FROM queues_lease WHERE id = ANY (ARRAY(SELECT id FROM l))
), told AS (
    DELETE FROM queues_outcome WHERE queue_id = %(queue_id)s
), ids AS (
    DELETE FROM queues_dedup WHERE queue_id = %(queue_id)s
)
DELETE FROM queues_message WHERE queue_id = %(queue_id)s AND (SELECT count(*) FROM l) >= 0
