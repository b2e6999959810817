-- Step 5: the rows of one other partition that the staged month may have too, with their row ids and pickups.
--
-- Equal row ids have equal pickups. So two files can share a row only if it is out of month in at least one of them:
-- outside that file's month, or without a pickup. A partition's out-of-month rows are few and have a partial index; its
-- other rows are found by pickup through a BRIN index, and only where the staged month has out-of-month rows. A row that
-- has only a dropoff is found by that time, because a row that has only that pickup has the same row id.
insert into pg_temp.duplicates (unique_row_id, pickup, filename)

-- out-of-month rows of the other partition that lie in the staged month, or at an out-of-month pickup of it
select other.unique_row_id, coalesce(other.{pickup}, other.{dropoff}), {filename}
from {other} as other
where ({other_out_of_month})
    and (
        (other.{pickup} >= {start} and other.{pickup} < {end})
        or other.{pickup} is null
        or other.{pickup} in (
            select coalesce(staged.{pickup}, staged.{dropoff}) from {staging} as staged where {staged_out_of_month}
        )
    )

union all

-- rows inside the other partition's month that the staged month has as out-of-month rows; coalesce hides the condition,
-- which all rows meet, from the planner: without statistics it would use the BRIN index for that and not for the pickups
select other.unique_row_id, other.{pickup}, {filename}
from {other} as other
where coalesce(not ({other_out_of_month}), false)
    and {at_these_pickups}
    and other.unique_row_id in (select staged.unique_row_id from {staging} as staged where {staged_out_of_month})
