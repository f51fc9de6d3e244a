-- Answers the request that a message with these headers belongs to. The work is in the function.
SELECT queues_answer(%(headers)s, false, %(content_type)s, %(value)b::bytea, '')
