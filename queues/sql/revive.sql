-- Dead letters that the transaction has locked start over: in the target, or where each died.
SELECT * FROM queues_revive(%(ids)b::bigint[], %(target_id)s::int)
