"""What the test adds to the database: the handlers' table, and a way to hold a COMMIT that settles a cell."""

LOCK_SPACE = 71  # the first half of the advisory locks' keys

SCHEMA = f"""
CREATE TABLE fault_row (cell text NOT NULL, clocks_apart float8 NOT NULL);  -- in seconds
CREATE TABLE fault_hold (cell text PRIMARY KEY, number int NOT NULL);
CREATE FUNCTION fault_wait(cell_ text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE number_ int;
BEGIN
    SELECT number INTO number_ FROM fault_hold WHERE cell = cell_;
    IF FOUND THEN
        PERFORM pg_advisory_xact_lock_shared({LOCK_SPACE}, number_);
    END IF;
END $$;
CREATE FUNCTION fault_committing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fault_wait(t.name) FROM logs_group_partition g
        JOIN logs_partition p ON p.id = g.partition_id JOIN logs_topic t ON t.id = p.topic_id
        WHERE g.id = NEW.group_partition_id;
    RETURN NULL;
END $$;
CREATE FUNCTION fault_acknowledging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fault_wait(q.name) FROM queues_queue q WHERE q.id = OLD.queue_id;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fault_committing AFTER INSERT ON logs_commit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fault_committing();
CREATE CONSTRAINT TRIGGER fault_acknowledging AFTER DELETE ON queues_message DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION fault_acknowledging();
"""
# Whoever has this schema before pg_catalog in the search_path has another clock.
WRONG_CLOCK_SCHEMA = """
CREATE SCHEMA wrong_clock;
CREATE TABLE wrong_clock.ahead AS SELECT 0::float8 AS seconds;
CREATE FUNCTION wrong_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() + make_interval(secs => seconds) FROM wrong_clock.ahead';
CREATE FUNCTION wrong_clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS
    'SELECT pg_catalog.statement_timestamp() + make_interval(secs => seconds) FROM wrong_clock.ahead';
CREATE FUNCTION wrong_clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    'SELECT pg_catalog.now() + make_interval(secs => seconds) FROM wrong_clock.ahead';
"""
HELD = f"""
    SELECT a.pid, a.application_name, a.client_port FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.classid = {LOCK_SPACE} AND l.objid = %s AND NOT l.granted
"""
SETTLED = """
    SELECT t.name, 'log' FROM logs_topic t
    WHERE EXISTS (
        SELECT FROM logs_partition p JOIN logs_group_partition g ON g.partition_id = p.id
        JOIN logs_commit c ON c.group_partition_id = g.id
        WHERE p.topic_id = t.id AND c.committed = (logs_tail(p)).next_offset AND c.committed > 0)
    UNION ALL
    SELECT q.name, 'queue' FROM queues_queue q
    WHERE NOT EXISTS (SELECT FROM queues_message m WHERE m.queue_id = q.id)
"""
HOLDING = """
    SELECT (SELECT count(*) FROM logs_group_partition WHERE owner IS NOT NULL AND expires_at > clock_timestamp())
         + (SELECT count(*) FROM queues_lease)
"""
