-- As append, for records with producer ids: where each stands, and whether it stood there before.
-- ids, and the partition of each record instead of counts; otherwise the same batch.
SELECT partitions, offsets, duplicates
FROM logs_append_once(
    ARRAY(SELECT q FROM unnest(%(partitions)b::int[], %(counts)b::int[]) u(q, c), generate_series(1, c) ORDER BY q),
    %(ids)b::text[], %(keys)b::bytea[], %(vals)b::bytea[], %(headers)b::text[], %(content_types)b::text[],
    %(timestamps)b::timestamptz[], %(revision)b::uuid)
