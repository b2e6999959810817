"""How fast a month gets into Postgres, next to what the server can take and to the usual ways.

    work.py         the files, and databases to load them into
    contenders.py   the ways of loading, each the plainest honest one
    load.py         ours: the platform's assets and checks, in a process of its own
    figures.py      what is measured, in turn
    startup.py      what a small month costs as a process
    parts.py        what the parts of a copy cost, and the forms of them that were tried
    google.py       bytes that the Google leg moves and scans, computed
    report.py       the table, the JSON, the plot

`python -m benchmarks` runs everything; names of groups of figures run only those.
"""
