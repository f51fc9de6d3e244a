-- What a transaction took and could not do: back, or dead; with this receive, which nobody counted yet.
SELECT * FROM queues_return(%(ids)b::bigint[], NULL, %(delays)b::float8[], %(errors)b::text[], %(reason)s, 1, %(most)s::int)
