-- Rows of the colour's other files that the new file may contain as well: by row id, pickup and file.
--
-- Equal row ids have equal pickups, so two files can share a row only where one of them has it as an out-of-month row.
-- A row that has only a pickup can have the row id of one that has only a dropoff.
create temp table candidates as
with out_of_month as (
    select distinct coalesce({pickup}, {dropoff}) as pickup_at
    from read_parquet($new)
    where {pickup} is null or {pickup} < $start or {pickup} >= $end
)
-- out-of-month rows of the other files that lie in this month
select unique_row_id, {pickup} as pickup_at, filename
from read_parquet($others)
where {pickup} >= $start and {pickup} < $end
union all
-- rows of the other files without a pickup
select unique_row_id, {dropoff} as pickup_at, filename
from read_parquet($others)
where {pickup} is null
union all
-- rows of the other files at the pickups of this file's out-of-month rows
select unique_row_id, {pickup} as pickup_at, filename
from read_parquet($others)
where {pickup} in (select pickup_at from out_of_month) and ({pickup} < $start or {pickup} >= $end)
