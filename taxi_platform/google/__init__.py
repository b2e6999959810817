"""How trips live in Google Cloud: the lake's objects, the tables made from them, the record of what is loaded.

    answers.py     Google's answers: which are waited out, which end a run, and in which words
    lake.py        the published files as objects in the bucket
    warehouse.py   one BigQuery dataset: runs statements, looks at tables
    tables.py      names and schemas, derived from the registry; SQL text from checked parts
    loads.py       `taxi_loads`, the record of what is in the merged tables
    monthly.py     a month's external table, and the typed table made from it
    merge.py       that table's rows into their place in `<colour>_tripdata`
    loaded.py      which months are there

Plain functions on Google's clients; Dagster meets them in `io_managers.gcs` and `io_managers.bigquery`.
"""
