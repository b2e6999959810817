-- Rows of the new file that another file has, each row id with the file that has it and how often the new file has it.
create temp table duplicates as
with held as (
    select unique_row_id, min(filename) as filename from candidates group by unique_row_id
)
select held.unique_row_id, held.filename, count(*) as copies
from read_parquet($new) as new
join held using (unique_row_id)
where new.{pickup} in (select pickup_at from candidates) or new.{pickup} is null
group by all
