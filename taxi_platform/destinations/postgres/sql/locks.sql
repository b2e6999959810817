-- Locks that a query over all months of these tables takes: one for each table, partition and index.
with relations as (
    select relid from unnest(%(parents)s::text[]) as parent, pg_partition_tree(to_regclass(parent))
)
select
    (select count(*) from relations)
        + (select count(*) from pg_index where indrelid in (select relid from relations)) as needed,
    current_setting('max_locks_per_transaction')::int as slots
