-- The topic's partitions stay locked for this statement: appends wait for a moment, and go on in the new segment.
SELECT logs_roll(%(topic_id)s, %(from_segment)s::smallint)
