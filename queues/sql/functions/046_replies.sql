-- The request a message belongs to, and until when its answer is wanted: the header mq-reply-to, "<id>/<Unix time>".
-- No row where there is none, or where somebody wrote something else.
CREATE OR REPLACE FUNCTION queues_request(headers_ text, OUT request uuid, OUT until timestamptz)
RETURNS SETOF record LANGUAGE sql IMMUTABLE AS $$
    SELECT f[1]::uuid, to_timestamp(f[2]::bigint) FROM json_array_elements(
        CASE WHEN position('"mq-reply-to"' IN headers_) > 0 AND position('\u0000' IN headers_) = 0
             THEN headers_::json ELSE '[]' END) h,
        regexp_match(h ->> 1, '^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/([0-9]{1,11})$') f
    WHERE h ->> 0 = 'mq-reply-to' AND f IS NOT NULL LIMIT 1
$$;

-- Answers a request, unless it is too late or answered already; whether it was in time. Who waits gets a minute to
-- come for it.
CREATE OR REPLACE FUNCTION queues_answer(headers_ text, is_error_ boolean, type_ text, value_ bytea, error_ text)
RETURNS boolean LANGUAGE sql AS $$
    WITH answered AS (
        INSERT INTO queues_reply (request, is_error, content_type, value, error, at, keep_until)
        SELECT r.request, is_error_, type_, value_, error_, statement_timestamp(), r.until + interval '1 minute'
        FROM queues_request(headers_) r WHERE r.until > statement_timestamp()
        ON CONFLICT (request) DO NOTHING RETURNING 1
    )
    SELECT count(*) > 0 FROM answered
$$;
