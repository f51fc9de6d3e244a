-- The append for records in any order, and for those with a producer id. A known id answers its first place.
-- One lock order everywhere: partitions first, by id, then producer ids, sorted. A concurrent publisher of
-- the same id waits on the unique key, starts again, and finds the original.
CREATE FUNCTION logs_append_once(
    placed int[], ids text[], keys bytea[], vals bytea[], headers_ text[], content_types text[],
    timestamps timestamptz[], revision_ uuid,
    OUT partitions int[], OUT offsets bigint[], OUT duplicates boolean[]
) LANGUAGE plpgsql AS $$
DECLARE
    f record;  -- the records to append, by partition
    firsts bigint[];
    places bigint[];
    broken text;
BEGIN
    IF revision_ IS NOT NULL AND EXISTS (  -- where all ids are known nothing is appended, and nothing else would look
        SELECT FROM unnest(placed) q LEFT JOIN logs_partition p ON p.id = q WHERE p.revision IS DISTINCT FROM revision_) THEN
        RAISE EXCEPTION 'the topic was altered' USING ERRCODE = 'MQ002';
    END IF;
    LOOP
        WITH u AS (
            SELECT u.*, p.topic_id, row_number() OVER (PARTITION BY p.topic_id, u.id ORDER BY n) AS nth
            FROM unnest(placed, ids, keys, vals, headers_, content_types, timestamps) WITH ORDINALITY
                u(q, id, k, v, h, c, t, n)
            LEFT JOIN logs_partition p ON p.id = q
        ), fresh AS (
            SELECT u.*, sum(coalesce(octet_length(k), 0) + coalesce(octet_length(v), 0) + coalesce(octet_length(h), 0))
                OVER (PARTITION BY q ORDER BY n)::bigint AS end_, row_number() OVER (PARTITION BY q ORDER BY n) AS place
            FROM u WHERE id IS NULL OR (nth = 1 AND NOT EXISTS (
                SELECT FROM logs_published l WHERE l.topic_id = u.topic_id AND l.producer_id = u.id))
        )
        SELECT coalesce(array_agg(n ORDER BY q, n), '{}') AS ns, array_agg(q ORDER BY q, n) AS qs,
               array_agg(id ORDER BY q, n) AS ids, array_agg(topic_id ORDER BY q, n) AS topics,
               array_agg(k ORDER BY q, n) AS ks, array_agg(v ORDER BY q, n) AS vs,
               array_agg(h ORDER BY q, n) AS hs, array_agg(c ORDER BY q, n) AS cs,
               array_agg(end_ ORDER BY q, n) AS ends, array_agg(place ORDER BY q, n) AS places,
               CASE WHEN count(t) > 0 THEN array_agg(t ORDER BY q, n) END AS ts,
               (SELECT array_agg(q ORDER BY q) FROM (SELECT DISTINCT q FROM fresh) x) AS parts,
               (SELECT array_agg(size ORDER BY q) FROM (SELECT q, count(*)::int AS size FROM fresh GROUP BY q) x) AS counts
        INTO f FROM fresh;
        EXIT WHEN f.ns = '{}';
        BEGIN
            firsts := logs_append(f.parts, f.counts, f.ks, f.vs, f.hs, f.cs, f.ends, f.ts, revision_);
            SELECT array_agg(first_ + place - 1 ORDER BY o) INTO places
            FROM unnest(f.qs, f.places) WITH ORDINALITY u(q, place, o) JOIN unnest(f.parts, firsts) b(q, first_) USING (q);
            INSERT INTO logs_published (topic_id, producer_id, partition_id, "offset", at)
            SELECT topic, id, q, place, clock_timestamp() FROM unnest(f.topics, f.ids, f.qs, places) u(topic, id, q, place)
            WHERE id IS NOT NULL ORDER BY topic, id;
            EXIT;
        EXCEPTION WHEN unique_violation THEN  -- somebody else's id has just been committed: look again
            GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
            IF broken <> 'logs_published_pkey' THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    SELECT array_agg(coalesce(x.q, l.partition_id) ORDER BY n), array_agg(coalesce(x.place, l."offset") ORDER BY n),
           array_agg(x.q IS NULL ORDER BY n)
    INTO partitions, offsets, duplicates
    FROM unnest(placed, ids) WITH ORDINALITY u(q, id, n)
    LEFT JOIN unnest(f.ns, f.qs, places) x(n, q, place) USING (n)
    LEFT JOIN logs_partition p ON p.id = u.q AND x.q IS NULL
    LEFT JOIN logs_published l ON l.topic_id = p.topic_id AND l.producer_id = u.id;
    IF array_position(offsets, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a producer id was forgotten meanwhile' USING ERRCODE = 'MQ002';
    END IF;
END $$;
