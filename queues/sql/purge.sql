-- One batch of the messages in some states; of nobody who holds one.
SELECT * FROM queues_retire(
    (SELECT queues_choose(%(queue_id)s, %(states)b::smallint[], %(limit)s) WHERE queues_share(false, %(queue_id)s)),
    %(states)b::smallint[], NULL, %(by)s)
