"""Asset checks: what must hold of a loaded month, asked of the destination after it was loaded.

    common.py     what both legs check, apart from how a destination counts
    postgres.py   asked of Postgres
    gcp.py        asked of BigQuery

What must never be visible is checked inside the merge's transaction, not here.
"""
