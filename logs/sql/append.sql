-- One round trip, one transaction of its own: the partitions stay locked for a millisecond.
SELECT logs_append(%(partitions)b::int[], %(counts)b::int[], %(keys)b::bytea[], %(vals)b::bytea[],
                   %(headers)b::text[], %(content_types)b::text[], %(ends)b::bigint[],
                   %(timestamps)b::timestamptz[], %(revision)b::uuid)
