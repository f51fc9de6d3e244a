-- Whether a queue still is what was remembered: asked only where nothing was found.
SELECT 1 FROM queues_queue WHERE id = %(queue_id)s AND revision = %(revision)s
