-- All load records, read from the comments of the attached partitions. `strays`, `kept_by`: names in version 1 of a record.
create view public.taxi_loads as
select
    regexp_replace(parent.relname, '_tripdata$', '') as colour,
    substring(bound.filename, '_([0-9]{{4}}-[0-9]{{2}})\.csv$') as month,
    bound.filename,
    loaded.record ->> 'sha256' as sha256,
    (loaded.record ->> 'rows')::bigint as rows_in_file,
    (loaded.record ->> 'rows')::bigint - skipped.rows as rows_in_table,
    skipped.by_file as duplicates_by_file,
    (loaded.record ->> 'loaded_at')::timestamptz as loaded_at
from pg_inherits
join pg_class as parent on parent.oid = pg_inherits.inhparent
join pg_class as child on child.oid = pg_inherits.inhrelid
cross join lateral (
    select substring(pg_get_expr(child.relpartbound, child.oid), '^FOR VALUES IN \(''(.*)''\)$') as filename
) as bound
cross join lateral (select {schema}.load_record(obj_description(child.oid, 'pg_class')) as record) as loaded
cross join lateral (
    select
        coalesce(sum((value #>> case jsonb_typeof(value) when 'object' then '{{rows}}' else '{{}}' end::text[])::bigint), 0) as rows,
        coalesce(
            jsonb_object_agg(key, value #> case jsonb_typeof(value) when 'object' then '{{rows}}' else '{{}}' end::text[]),
            '{{}}'
        ) as by_file
    from jsonb_each(coalesce(loaded.record -> 'skipped', loaded.record -> 'kept_by', '{{}}'))
) as skipped
where parent.relnamespace = 'public'::regnamespace
    and parent.relname ~ '_tripdata$'
    and loaded.record is not null
    and bound.filename is not null
order by colour, month
