-- Inside somebody's transaction: no lock, no offset; logs_assign_staged does the rest at COMMIT.
-- No row = the topic is not what the caller knew.
INSERT INTO logs_staged (partitions, counts, keys, vals, headers, content_types, ends, timestamps, ids)
SELECT %(partitions)b::int[], %(counts)b::int[], %(keys)b::bytea[], %(vals)b::bytea[],
       %(headers)b::text[], %(content_types)b::text[], %(ends)b::bigint[], %(timestamps)b::timestamptz[],
       %(ids)b::text[]
FROM logs_topic WHERE id = %(topic_id)s AND revision = %(revision)b::uuid
RETURNING id
