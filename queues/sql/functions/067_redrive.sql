-- One step of a redrive: up to `most` letters after its cursor, of which those that match move, as many as its rate
-- allows. The messages and the cursor move in one transaction: a step that is killed never was. No row of a job
-- that another worker is at. Letters of a queue that is gone stay, and so do those without a key where the target
-- is ordered. An ordered letter that goes home takes its old place in its key.
CREATE OR REPLACE FUNCTION queues_redrive_step(job bigint, most int)
RETURNS TABLE (queue text, id bigint, group_key text, state smallint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    j queues_redrive;
    budget bigint;
    chosen bigint[];
    revived bigint[];
    last bigint;
    seen bigint;
BEGIN
    PERFORM queues_share(false, t.id) FROM (  -- first of all: a deletion of either waits for this job's row
        SELECT DISTINCT unnest(ARRAY[r.queue_id, r.target_id]) AS id FROM queues_redrive r WHERE r.id = job
        ORDER BY 1 OFFSET 0) t WHERE t.id IS NOT NULL;
    SELECT * INTO j FROM queues_redrive r WHERE r.id = job AND r.state = 0 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    budget := least(most, floor(coalesce(
        j.rate_per_second * least(60, extract(epoch FROM statement_timestamp() - j.worked_at)), most)));
    IF budget < 1 THEN
        RETURN;
    END IF;
    IF j.ids IS NOT NULL THEN
        chosen := j.ids;
    ELSE
        chosen := ARRAY(SELECT c.id FROM (
            (SELECT m.id, m.position FROM queues_message m
             WHERE m.queue_id = j.queue_id AND m.state = 4
               AND m.position > j.after_position AND m.position <= j.end_position ORDER BY m.position LIMIT most)
            UNION ALL
            (SELECT m.id, m.position FROM queues_message m
             WHERE m.queue_id = j.queue_id AND m.state = 0 AND m.source_id IS NOT NULL
               AND m.position > j.after_position AND m.position <= j.end_position ORDER BY m.position LIMIT most)
            ) c ORDER BY c.position LIMIT most);
    END IF;
    WITH locked AS MATERIALIZED (
        SELECT m.id, m.position,
               (j.only_reason IS NULL OR m.reason = j.only_reason)
               AND (j.died_after IS NULL OR m.died_at >= j.died_after)
               AND (j.died_before IS NULL OR m.died_at < j.died_before)
               AND (j.only_text IS NULL OR position(j.only_text IN coalesce(m.detail, '')) > 0
                    OR position(j.only_text IN coalesce(m.headers, '')) > 0
                    OR position(convert_to(j.only_text, 'UTF8') IN m.payload) > 0) AS fits
        FROM queues_message m
        WHERE m.id = ANY (chosen) AND m.queue_id = j.queue_id
          AND m.position > j.after_position AND m.position <= j.end_position
          AND (m.state = 4 OR m.state = 0 AND m.source_id IS NOT NULL)
        ORDER BY m.position FOR UPDATE SKIP LOCKED
    ), counted AS (
        SELECT l.*, count(*) FILTER (WHERE l.fits) OVER (ORDER BY l.position) AS nth FROM locked l
    )
    SELECT array_agg(c.id) FILTER (WHERE c.fits), max(c.position), count(*) INTO revived, last, seen
    FROM counted c WHERE c.nth <= budget;
    IF seen = 0 AND j.ids IS NULL AND chosen <> '{}' THEN  -- all of them in somebody's hands: later
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM queues_revive(revived, j.target_id);
    UPDATE queues_redrive r SET
        after_position = coalesce(last, j.after_position), scanned = j.scanned + seen, worked_at = statement_timestamp(),
        moved = j.moved + (SELECT count(*) FROM queues_message m WHERE m.id = ANY (revived) AND m.died_at IS NULL),
        state = CASE WHEN seen = 0 THEN 1 ELSE 0 END,
        ended_at = CASE WHEN seen = 0 THEN statement_timestamp() END
    WHERE r.id = job;
END $$;
