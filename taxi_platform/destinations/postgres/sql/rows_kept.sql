-- The rows of one other partition that the staged month must not bring again: candidates, by row id and pickup.
--
-- Equal row ids have equal pickups. So two files can share a row only where one of them has it as a stray: outside its
-- own month, or without a pickup. A partition's strays stand in a partial index and are few; its other rows are reached
-- by pickup through a BRIN index, and only where the staged month has strays. A row that has only a dropoff counts as
-- one with that pickup: the row id of a row that has only a pickup looks the same.
insert into pg_temp.rows_kept (unique_row_id, pickup, keeper)

-- strays of the other partition that lie in the staged month, or where the staged month has strays too
select other.unique_row_id, coalesce(other.{pickup}, other.{dropoff}), {keeper}
from {other} as other
where ({other_strays})
    and (
        (other.{pickup} >= {start} and other.{pickup} < {end})
        or other.{pickup} is null
        or other.{pickup} in (
            select coalesce(staged.{pickup}, staged.{dropoff}) from {staging} as staged where {staged_strays}
        )
    )

union all

-- rows inside the other partition's month that the staged month has as strays; coalesce hides the month's range, which
-- all rows match, from the planner: without statistics it would look that up in the BRIN index, and not the pickups
select other.unique_row_id, other.{pickup}, {keeper}
from {other} as other
where coalesce(not ({other_strays}), false)
    and {at_these_pickups}
    and other.unique_row_id in (select staged.unique_row_id from {staging} as staged where {staged_strays})
