-- Many at once that may be received at once. In the function, which draws the ids before.
SELECT queues_send_ready(
    %(queue_id)s::int, %(revision)s::uuid, %(sender)s::text, %(payloads)b::bytea[], %(content_types)b::text[],
    %(headers)b::text[], %(group_keys)b::text[])
