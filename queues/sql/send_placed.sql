-- Messages with deduplication ids, or for an ordered queue. The work is in the function, which pins its plan.
SELECT * FROM queues_send(
    %(own)s, %(queue_id)s, %(revision)s, %(is_ordered)s, %(sender)s, %(payloads)b::bytea[], %(content_types)b::text[],
    %(headers)b::text[], %(group_keys)b::text[], %(priorities)b::smallint[], %(delays)b::float8[],
    %(dues)b::timestamptz[], %(ttls)b::float8[], %(dedup_ids)b::text[])
