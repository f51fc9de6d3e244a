-- Looks without receiving. The work is in the function, which stops after so many found or looked at.
SELECT * FROM queues_search(
    %(queue_id)s::int, %(state)s::int, %(group_key)s::text, %(text)s::text, %(json_path)s::text::jsonpath,
    %(after_priority)s::int, %(after_position)s::bigint, %(limit)s::int, %(most_scanned)s::int)
