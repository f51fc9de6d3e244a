-- Those of the requests that are answered.
SELECT request, is_error, content_type, value, error, at FROM queues_reply WHERE request = ANY (%(requests)s::uuid[])
