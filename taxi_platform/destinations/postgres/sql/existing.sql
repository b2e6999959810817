-- The names of the existing objects that all colours share. It reads the catalog's tables, because functions such as
-- to_regclass may return what this session has cached since the transaction began.
select nspname::text from pg_namespace where nspname = %(schema)s
union all
select proname::text from pg_proc join pg_namespace on pg_namespace.oid = pronamespace where nspname = %(schema)s
union all
select relname::text
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where (nspname = %(schema)s and relname = 'changes') or (nspname = 'public' and relname = 'taxi_loads')
