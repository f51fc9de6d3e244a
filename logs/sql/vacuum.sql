-- What was erased leaves the disk now, not when a fifth of the segment has changed.
VACUUM (INDEX_CLEANUP ON) logs_record_s0
