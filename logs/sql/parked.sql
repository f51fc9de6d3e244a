-- Of each group's oldest by id only: the overview asks all the time, and there may be many. BETWEEN instead of = leaves
-- the order to logs_parked_group alone. By its primary key, a group that has little parked would read all there is.
SELECT c.name, p.topic, count(*), count(p.retry_asked_at), min(p.parked_at),
       extract(epoch FROM clock_timestamp() - min(p.parked_at))::float8,
       sum(count(*)) OVER (PARTITION BY c.id) >= %(most)s
FROM logs_consumergroup c
CROSS JOIN LATERAL (SELECT topic, parked_at, retry_asked_at FROM logs_parked
                    WHERE group_id BETWEEN c.id AND c.id ORDER BY group_id, id LIMIT %(most)s) p
GROUP BY c.id, c.name, p.topic
ORDER BY 3 DESC, 1, 2
LIMIT %(limit)s
