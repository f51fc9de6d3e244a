-- The single record: scalars cost the client a third of what one-element arrays do, and the server half.
SELECT logs_append_one(%(partition_id)s, %(key)b, %(value)b, %(headers)s, %(content_type)s, %(timestamp)b,
                       %(size)s, %(revision)b)
