-- What publish and fetch need to know of a topic, in one look; kept by the process until the revision changes.
SELECT t.id, t.revision, o.name, t.max_message_bytes, t.message_timestamp_type,
       t.message_timestamp_after_max_ms, t.cleanup_policy,
       ARRAY(SELECT p.id FROM logs_partition p WHERE p.topic_id = t.id ORDER BY p.number)
FROM logs_topic t JOIN mqsite_boundary o ON o.id = t.owner_id
WHERE t.name = %(topic)s
