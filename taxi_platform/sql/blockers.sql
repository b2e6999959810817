-- Who holds locks on these tables: the sessions that an exchange has to wait for.
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
    and activity.datname = current_database()
    and activity.pid <> pg_backend_pid()
order by activity.pid
