-- The partitions of a table of trips: the bound names the file that each holds, the comment is its load record.
select
    child.oid,
    child.relnamespace::regnamespace::text as schema,
    child.relname,
    pg_get_expr(child.relpartbound, child.oid) as bound,
    obj_description(child.oid, 'pg_class') as comment
from pg_inherits
join pg_class as child on child.oid = pg_inherits.inhrelid
where pg_inherits.inhparent = to_regclass(%(parent)s)
order by child.relname
