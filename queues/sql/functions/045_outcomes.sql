-- The correlation id among headers as they are stored. A NUL, which JSON can escape, is no text to PostgreSQL.
CREATE OR REPLACE FUNCTION queues_correlation(headers_ text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(h ->> 1, 249) FROM json_array_elements(
        CASE WHEN headers_ IS NOT NULL AND position('\u0000' IN headers_) = 0 THEN headers_::json ELSE '[]' END) h
    WHERE lower(h ->> 0) IN ('correlation_id', 'ce_correlationid') LIMIT 1
$$;

-- What became of messages, where their queue wants to know.
CREATE OR REPLACE FUNCTION queues_record(
    queues int[], ids bigint[], headers_ text[], receives_ int[], outcome_ text, by_ text, reasons text[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO queues_outcome (queue_id, message_id, correlation_id, outcome, by, receives, reason, at, expires_at)
    SELECT q.id, u.id, queues_correlation(u.header), outcome_, by_, u.receives, coalesce(u.reason, ''),
           statement_timestamp(), statement_timestamp() + make_interval(secs => q.outcome_seconds)
    FROM unnest(queues, ids, headers_, receives_, reasons) u(queue, id, header, receives, reason)
    JOIN queues_queue q ON q.id = u.queue
    WHERE q.outcome_seconds > 0
$$;
