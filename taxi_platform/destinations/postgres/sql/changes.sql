-- Changes of loaded rows by hand: which file's rows, when and by whom. Loads write into tables that are not attached
-- yet, which have no row trigger. Replacing the month removes its entries.
create table {schema}.changes (
    filename text not null,
    operation text not null,
    changed_by text not null,
    changed_at timestamptz not null,
    primary key (filename, changed_at, operation, changed_by)
)
