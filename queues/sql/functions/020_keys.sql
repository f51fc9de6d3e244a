-- Ordered queues: only the head of a key is ready, leased or scheduled; the others wait behind it. Whatever
-- adds to a key or ends its head locks the key, in one order with all others of its transaction, and then
-- looks in a FRESH statement. 256 stripes a queue: a lock for each of a thousand keys would fill the lock table.
CREATE OR REPLACE FUNCTION queues_lock_keys(queues int[], keys text[]) RETURNS void LANGUAGE sql AS $$
    SELECT count(pg_advisory_xact_lock(x'6d720000'::int + s.stripe, s.queue)) FROM (
        SELECT DISTINCT u.queue, (hashtextextended(u.key, 0) & 255)::int AS stripe
        FROM unnest(queues, keys) u(queue, key) ORDER BY 1, 2 OFFSET 0) s
$$;

-- Gives keys without a head the first that waits. It goes to the tail of ready: fair between keys.
CREATE OR REPLACE FUNCTION queues_raise_heads(queues int[], keys text[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    UPDATE queues_message SET state = 0, position = nextval('queues_message_id_seq') WHERE id = ANY (ARRAY(
        SELECT (SELECT w.id FROM queues_message w WHERE w.queue_id = u.queue AND w.group_key = u.key AND w.state = 3
                ORDER BY w.position LIMIT 1)
        FROM (SELECT DISTINCT * FROM unnest(queues, keys) d(queue, key)) u
        WHERE (SELECT true FROM queues_message h WHERE h.queue_id = u.queue AND h.group_key = u.key
                 AND h.ordered AND h.state IN (0, 1, 2) LIMIT 1) IS NULL));
END $$;
