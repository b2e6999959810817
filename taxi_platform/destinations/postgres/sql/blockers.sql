-- The sessions whose locks on these tables keep the platform waiting. A first load waits only for sessions that lock a
-- whole table; with `readers`, reading and writing sessions count too. State and start of another role's session are null
-- for a role without pg_read_all_stats.
select distinct
    activity.pid,
    activity.usename,
    activity.application_name,
    activity.state,
    date_trunc('second', activity.xact_start)::text as since
from pg_locks
join pg_stat_activity as activity using (pid)
where pg_locks.relation = any(%(tables)s::oid[])
    and pg_locks.granted
    and (%(readers)s or pg_locks.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
    and pg_locks.database = (select oid from pg_database where datname = current_database())
    and activity.pid <> pg_backend_pid()
    and coalesce(activity.xact_start < clock_timestamp() - interval '1 second', true)
order by activity.pid
