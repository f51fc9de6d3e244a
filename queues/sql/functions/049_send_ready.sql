-- Sends a batch that may be received at once, all of one priority: what most batches are. With the ids drawn before,
-- nothing need be returned row by row. Sets in the select list run side by side; in FROM each would be stored first.
-- NULL = the queue is not what the caller remembers.
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
    FROM (SELECT unnest(ids) AS n, unnest(payloads) AS payload, unnest(content_types) AS content_type,
                 unnest(headers_) AS header, unnest(group_keys) AS group_key) u;
    RETURN ids;
END $$;
