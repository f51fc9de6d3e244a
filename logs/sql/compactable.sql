-- Partitions with work for compaction, or for hashing older keys. Few topics have either; compaction needs the hashes.
SELECT p.id FROM logs_partition p JOIN logs_topic c ON c.id = p.topic_id CROSS JOIN LATERAL logs_tail(p) t
WHERE p.hash_keys AND (p.hashed_from > p.log_start
   OR c.cleanup_policy LIKE '%%compact%%' AND greatest(p.cleaned_until, p.log_start) < t.next_offset)
ORDER BY p.id
