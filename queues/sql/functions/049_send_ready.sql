-- Sends a batch that may be received at once, all of one priority: what most batches are. With the ids drawn before,
-- nothing need be returned row by row. NULL = the queue is not what the caller remembers.
CREATE OR REPLACE FUNCTION queues_send_ready(
    queue_ int, revision_ uuid, sender_ text, payloads bytea[], content_types text[], headers_ text[], group_keys text[]
) RETURNS bigint[] LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ids bigint[];
BEGIN
    IF NOT queues_enter(queue_, revision_) THEN
        RETURN NULL;
    END IF;
    ids := ARRAY(SELECT nextval('queues_message_id_seq') FROM generate_series(1, cardinality(payloads)));
    INSERT INTO queues_message
        (id, queue_id, state, priority, position, group_key, sender, content_type, headers, payload)
    SELECT u.n, queue_, 0, 0, u.n, u.group_key, sender_, u.content_type, u.header, u.payload
    FROM unnest(ids, payloads, content_types, headers_, group_keys) u(n, payload, content_type, header, group_key);
    RETURN ids;
END $$;
