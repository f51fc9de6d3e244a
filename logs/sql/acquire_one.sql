-- One partition, by its names: see logs_acquire_one.
SELECT * FROM logs_acquire_one(
    %(group)s, %(topic)s, %(partition)s, %(boundary)s, %(only_unread)s, %(member)s, %(seconds)s)
