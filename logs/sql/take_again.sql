-- By its last holder, in the epoch it had: see logs_take_again.
SELECT logs_take_again(%(group_partition_id)s, %(epoch)s, %(position)s, %(boundary)s, %(member)s, %(seconds)s)
