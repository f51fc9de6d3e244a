-- Rare: a topic has grown large and no emptied segment is free. A transaction of its own.
SELECT logs_add_segment() WHERE (SELECT count(*) FROM logs_segment) < %(limit)s
