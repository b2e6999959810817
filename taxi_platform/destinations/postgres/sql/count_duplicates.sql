-- Step 8: how many staged rows are duplicates of another file's rows, by that file.
select filename, count(*)
from (
    select distinct on (staged.ctid) duplicates.filename
    from {staging} as staged
    join pg_temp.duplicates using (unique_row_id)
    where {at_these_pickups}
    order by staged.ctid, duplicates.filename
) as found
group by filename
