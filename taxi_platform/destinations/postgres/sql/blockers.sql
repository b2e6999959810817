-- Who holds locks on these tables for as long as an exchange tries at a time, and so keeps it waiting. A first load
-- waits neither for readers nor for writers, only for those who lock a table as a whole.
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
    and (%(exchanges)s or pg_locks.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
    and activity.datname = current_database()
    and activity.pid <> pg_backend_pid()
    and activity.xact_start < clock_timestamp() - interval '1 second'
order by activity.pid
