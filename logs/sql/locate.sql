-- What publish needs to know of a topic, in one look: its owner, its limit, its partitions in order.
SELECT t.id, o.name, t.max_message_bytes,
       ARRAY(SELECT p.id FROM logs_partition p WHERE p.topic_id = t.id ORDER BY p.number)
FROM logs_topic t JOIN mqsite_boundary o ON o.id = t.owner_id
WHERE t.name = %(topic)s
