-- Takes messages of one queue away that nobody has received. The ids that do not come back were too late.
SELECT * FROM queues_retire(
    ARRAY(SELECT id FROM queues_message WHERE id = ANY (%(ids)b::bigint[]) AND queue_id = %(queue_id)s
          AND queues_share(false, %(queue_id)s)), '{0,2,3}',
    NULL, %(by)s)
