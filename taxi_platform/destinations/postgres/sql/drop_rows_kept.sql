-- Takes out of the staged month every copy of the rows that another file has already, and says which file.
delete from {staging} as staged
using pg_temp.rows_kept as kept
where {at_these_pickups}
    and staged.unique_row_id = kept.unique_row_id
returning kept.keeper
