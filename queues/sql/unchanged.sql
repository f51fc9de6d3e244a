-- Whether a queue still is what was remembered: asked of one that is paused.
SELECT 1 FROM queues_queue WHERE id = %(queue_id)s AND revision = %(revision)s
