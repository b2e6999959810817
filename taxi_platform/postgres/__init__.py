"""How trips live in PostgreSQL: the tables, staging a month, putting it in place.

    tables.py    names and definitions, derived from the registry; what is ours and what is not
    record.py    the record that makes a month loaded, kept as a comment on its partition
    staging.py   a file's rows into a table of its own
    merge.py     that table into its place in `<colour>_tripdata`

Plain functions on a psycopg connection; Dagster meets them in `io_managers.postgres`.
"""
