-- Looks at dead letters. The work is in the function, which stops after so many found or looked at.
SELECT * FROM queues_find_letters(
    %(queue_id)s::int, %(only_reason)s::text, %(only_text)s::text, %(died_after)s::timestamptz,
    %(died_before)s::timestamptz, %(after)s::bigint, %(limit)s::int, %(most_scanned)s::int)
