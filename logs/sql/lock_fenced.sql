-- The second half of a reset begins: FOR UPDATE waits for handlers' transactions that were fenced in the
-- middle and are about to fail. Id order: resets cannot deadlock.
SELECT g.id FROM unnest(%(group_partition_ids)s::int[], %(epochs)s::bigint[]) u(id, epoch)
JOIN logs_group_partition g ON g.id = u.id AND g.epoch = u.epoch
ORDER BY g.id
FOR UPDATE OF g
