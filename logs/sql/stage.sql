-- Inside somebody's transaction: no lock, no offset; logs_assign_staged does the rest at COMMIT.
INSERT INTO logs_staged (partitions, counts, keys, vals, headers, content_types)
VALUES (%(partitions)b::int[], %(counts)b::int[], %(keys)b::bytea[], %(vals)b::bytea[],
        %(headers)b::text[], %(content_types)b::text[])
